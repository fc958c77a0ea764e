"""Hostile metadata: work and memory stay bounded, and the image is decoded."""

import io
import itertools
import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest

from tagify.imaging import decode_original, sidecar_keywords
from tagify.imaging.metadata.exif import read_exif
from tagify.imaging.metadata.limits import MAX_DEPTH, MAX_ELEMENTS
from tagify.imaging.metadata.png_chunks import read_png
from tagify.imaging.metadata.xmp import _XmpReader
from tests.support import pictures
from tests.support.odd_metadata import NAMESPACES, listed, png_itxt, segment, with_chunks, with_segments, xmp

DC, RDF = (f'xmlns:{prefix}="{NAMESPACES[prefix]}"'.encode() for prefix in ("dc", "rdf"))

PACKETS = {
    "six million empty elements": lambda: b"<x>" + b"<a/>" * 6_000_000 + b"</x>",
    "nested subjects": lambda: (
        b"<x %s>" % DC + b"<dc:subject>" * 80_000 + b"</dc:subject>" * 80_000 + b"</x>"
    ),
    "a million attributes": lambda: b"<x " + b" ".join(b'a%d=""' % n for n in range(1_000_000)) + b"/>",
    "namespaces": lambda: b"<x>" + b"".join(b'<a xmlns:p%d="u"/>' % n for n in range(400_000)) + b"</x>",
    "a million items": lambda: (
        b"<rdf:RDF %s %s><rdf:Description><dc:subject><rdf:Bag>" % (RDF, DC)
        + b"<rdf:li>x</rdf:li>" * 1_000_000
    ),
    "a long text": lambda: b"<x>" + b"y" * (80 << 20) + b"</x>",
    "long comments": lambda: b"<x>" + (b"<!--" + b"y" * (3 << 20) + b"-->") * 20 + b"</x>",
    "an endless tag": lambda: b"<x " + b"y" * (80 << 20),
}


@pytest.mark.parametrize("name", PACKETS)
def test_a_hostile_packet_takes_little_time_and_memory(name: str) -> None:
    packet = PACKETS[name]()
    tracemalloc.start()
    try:
        started = time.process_time()
        assert len(sidecar_keywords(packet)) <= 1
        took = time.process_time() - started
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 48 << 20
    assert took < 20  # tracing makes it ten times slower; the tree took minutes


def test_parsing_ends_at_the_bounds_of_elements_and_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    started = itertools.count()
    deepest = 0
    start: Callable[..., None] = _XmpReader.start

    def counting(reader: _XmpReader, name: str, attributes: dict[str, str]) -> None:
        nonlocal deepest
        next(started)
        deepest = max(deepest, len(reader._path))
        start(reader, name, attributes)

    monkeypatch.setattr(_XmpReader, "start", counting)
    sidecar_keywords(b"<x>" + b"<a/>" * (2 * MAX_ELEMENTS) + b"</x>")
    assert next(started) == MAX_ELEMENTS + 1
    sidecar_keywords(b"<x>" * 10_000)
    assert deepest == MAX_DEPTH
    assert next(started) < MAX_ELEMENTS + 2 * MAX_DEPTH


def test_a_webp_with_millions_of_elements_is_decoded() -> None:
    packet = b"<x>" + b"<a/>" * 1_000_000 + b"</x>"
    source = pictures.encoded(pictures.gradient(64, 64), "WEBP", xmp=packet)
    assert decode_original(source, max_pixels=10_000).picture.width == 64


@pytest.mark.parametrize(
    "body",
    [b"Exif\0\0MM\0*\0\0\0\x08", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0", b"ICC_PROFILE\0\1\1"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_jpeg_of_many_small_segments_is_decoded_in_linear_time(body: bytes) -> None:
    marker = 0xED if body.startswith(b"Photo") else 0xE2 if body.startswith(b"ICC") else 0xE1
    source = with_segments(segment(marker, body) * 200_000)
    started = time.process_time()
    picture = decode_original(source, max_pixels=10_000).picture
    assert (picture.width, picture.height) == (64, 48)
    assert time.process_time() - started < 4


def test_metadata_before_many_segments_are_read() -> None:
    packet = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(listed("dc:subject", "cat")))
    source = with_segments(packet, segment(0xE1, b"Exif\0\0") * 100_000)
    assert decode_original(source, max_pixels=10_000).picture.keywords == ("cat",)


def test_a_directory_whose_entries_share_one_large_value_is_read_once() -> None:
    count = 60_000
    size = 8 << 20
    entries = b"".join(struct.pack(">HHII", tag % 0xFFFF, 7, size, 8) for tag in range(count))
    block = b"MM\0*\0\0\0\x08" + struct.pack(">H", count) + entries + b"\0" * size
    reads: list[int] = []

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            reads.append(len(data))
            return data

    read_exif(Stream(block))
    assert sum(reads) <= 4 * size + 12 * count + 100


def test_compressed_text_of_a_png_is_inflated_to_a_bound() -> None:
    bomb = png_itxt("XML:com.adobe.xmp", b"<" * (24 << 20), compressed=True)
    source = with_chunks(*([bomb] * 20), late=True)
    tracemalloc.start()
    try:
        read_png(io.BytesIO(source))
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
