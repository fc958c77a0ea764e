"""Printed text: no control character reaches the terminal."""

import io
import logging

from hypothesis import given
from hypothesis import strategies as st

from tagify.logs import TextFormatter, fields
from tagify.printable import has_control_characters, printable, printable_line
from tagify.terminal import Terminal

EVIL = "a\x1b]0;owned\x07\x9b31m\r\u202eb\udcff\x00"


@given(st.text(alphabet=st.characters()))
def test_a_printed_line_has_no_control_characters(text: str) -> None:
    assert not has_control_characters(printable_line(text))
    assert printable("Größe 😀 日本") == "Größe 😀 日本"
    assert has_control_characters(text) is (printable_line(text) != text)


def test_terminal_and_log_escape_names() -> None:
    out = io.StringIO()
    Terminal(out).print_line(f"watching {EVIL}\nsecond")
    record = logging.LogRecord("x", logging.INFO, "x", 1, f"message {EVIL}\n", (), None)
    record.__dict__.update(fields(path=EVIL))
    for line in (*out.getvalue().splitlines(), TextFormatter("api").format(record)):
        assert not has_control_characters(line)
        line.encode()
