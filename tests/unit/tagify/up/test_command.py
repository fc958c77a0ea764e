"""`tagify up`: when the page can be reached from other machines."""

import pytest

from tagify.up.command import others_reach


@pytest.mark.parametrize(
    ("hosts", "reached"),
    [
        (("127.0.0.1",), False),
        (("127.0.0.2", "::1"), False),
        (("localhost",), False),
        (("0.0.0.0",), True),
        (("::",), True),
        (("127.0.0.1", "0.0.0.0"), True),
    ],
)
def test_an_address_that_is_not_loopback_is_reached_by_others(hosts: tuple[str, ...], reached: bool) -> None:
    assert others_reach(hosts) == reached


def test_a_name_is_judged_by_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagify.up.command.resolve", lambda host: ["127.0.0.1", "192.0.2.7"])
    assert others_reach(["127.example"])
