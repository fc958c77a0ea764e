"""An allocation that fails in libvips refuses the image: it is not taken for damaged data and tried again."""

import pytest

from tagify.errors import Undecodable
from tagify.imaging import decode_original, vips
from tests.support import pictures


def test_a_failed_allocation_refuses_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = 0

    def reduce(*_: object) -> None:
        nonlocal attempts
        attempts += 1
        raise vips.VipsError("unable to call reduce", "vips_tracked: out of memory --- size == 576MB")

    monkeypatch.setattr(vips, "reduce", reduce)
    with pytest.raises(Undecodable, match="more memory than available"):
        decode_original(pictures.png(), max_pixels=1_000_000)
    assert attempts == 1
