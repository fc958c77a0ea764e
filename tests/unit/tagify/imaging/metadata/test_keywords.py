"""Keywords and people from every place in which programs write them."""

import io
from pathlib import Path

import pytest

from tagify.imaging import decode_original, sidecar_keywords
from tagify.imaging.metadata.limits import MAX_KEYWORDS
from tests.support import pictures
from tests.support.odd_metadata import (
    gif_with_xmp,
    image_resource,
    iptc,
    jpeg_with_exif,
    jpeg_with_iptc,
    jpeg_with_xmp,
    listed,
    png_itxt,
    raw_profile,
    tiff,
    with_chunks,
    xmp,
)

SUBJECT = listed("dc:subject", "cat")


def keywords_of(source: bytes | Path) -> tuple[str, ...]:
    return decode_original(source, max_pixels=1_000_000).picture.keywords


@pytest.mark.parametrize(
    ("source", "keywords"),
    [
        (jpeg_with_xmp(SUBJECT), ("cat",)),
        (jpeg_with_xmp(listed("dc:subject", "cat", kind="Seq")), ("cat",)),
        (jpeg_with_xmp(listed("lr:hierarchicalSubject", "Places|Rome")), ("Rome",)),
        (jpeg_with_xmp(listed("digiKam:TagsList", "Places/France/Paris", kind="Seq")), ("Paris",)),
        (jpeg_with_xmp(SUBJECT + listed("lr:hierarchicalSubject", "Animals|Cat", "a|dog")), ("cat", "dog")),
        (jpeg_with_exif({0x9C9E: "alpha;beta gamma\0".encode("utf-16-le")}), ("alpha", "beta gamma")),
        (gif_with_xmp(xmp(SUBJECT)), ("cat",)),
        (with_chunks(png_itxt("XML:com.adobe.xmp", xmp(SUBJECT))), ("cat",)),
        (with_chunks(png_itxt("XML:com.adobe.xmp", xmp(SUBJECT), compressed=True)), ("cat",)),
        (with_chunks(png_itxt("XML:com.adobe.xmp", xmp(SUBJECT)), late=True), ("cat",)),
        (with_chunks(raw_profile("iptc", image_resource(iptc((25, b"cat"))))), ("cat",)),
        (with_chunks(raw_profile("8bim", image_resource(iptc((25, b"cat"))))), ("cat",)),
        (with_chunks(raw_profile("iptc", iptc((25, b"cat")))), ("cat",)),
        (jpeg_with_iptc((25, "L'été".encode("cp1252")), (25, "“œ”".encode("cp1252"))), ("L'été", "“œ”")),
        (jpeg_with_iptc((25, "L\x92été".encode("latin-1"))), ("L’été",)),
        (jpeg_with_iptc((25, "Küste".encode()), (25, b"x")), ("Küste", "x")),
        (pictures.encoded(pictures.gradient(9, 9), "WEBP", xmp=xmp(SUBJECT)), ("cat",)),
        (pictures.encoded(pictures.gradient(64, 48), "AVIF", xmp=xmp(SUBJECT)), ("cat",)),
        (pictures.encoded(pictures.gradient(64, 48), "HEIF", xmp=xmp(SUBJECT)), ("cat",)),
        (pictures.encoded(pictures.gradient(9, 9), "TIFF", tiffinfo={700: xmp(SUBJECT)}), ("cat",)),
        (pictures.encoded(pictures.gradient(9, 9), "TIFF", tiffinfo={33723: iptc((25, b"cat"))}), ("cat",)),
    ],
)
def test_keywords_are_found_wherever_they_stand(source: bytes, keywords: tuple[str, ...]) -> None:
    assert keywords_of(source) == keywords


@pytest.mark.parametrize(
    "properties",
    [
        listed("mail:subject", "Re: cat"),
        "<mail:Message><rdf:Description>" + SUBJECT + "</rdf:Description></mail:Message>",
        '<dc:subject><rdf:Bag><rdf:li rdf:resource="cat"/></rdf:Bag></dc:subject>',
        "<dc:subject><mail:x><rdf:li>cat</rdf:li></mail:x></dc:subject>",
    ],
)
def test_only_what_the_standard_calls_a_subject_is_a_keyword(properties: str) -> None:
    assert keywords_of(jpeg_with_xmp(properties)) == ()


def test_the_language_of_a_keyword_is_no_keyword() -> None:
    items = '<dc:subject><rdf:Alt><rdf:li xml:lang="x-default">cat</rdf:li></rdf:Alt></dc:subject>'
    qualified = (
        "<dc:subject><rdf:Bag><rdf:li><rdf:Description><rdf:value>no</rdf:value></rdf:Description></rdf:li>"
    )
    value = "<rdf:li rdf:parseType='Resource'><rdf:value>dog</rdf:value></rdf:li></rdf:Bag></dc:subject>"
    assert keywords_of(jpeg_with_xmp(items)) == ("cat",)
    assert keywords_of(jpeg_with_xmp(qualified + value)) == ("dog",)


@pytest.mark.parametrize(
    "properties",
    [
        listed("Iptc4xmpExt:PersonInImage", "Marie Curie"),
        '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li>'
        '<rdf:Description mwg-rs:Name="Marie Curie" mwg-rs:Type="Face"/></rdf:li><rdf:li>'
        '<rdf:Description mwg-rs:Name="left eye" mwg-rs:Type="Focus"/></rdf:li></rdf:Bag>'
        "</mwg-rs:RegionList></mwg-rs:Regions>",
        '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Seq><rdf:li rdf:parseType="Resource">'
        "<mwg-rs:Name>Marie Curie</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type></rdf:li>"
        '<rdf:li rdf:parseType="Resource"><mwg-rs:Name>code</mwg-rs:Name><mwg-rs:Type>BarCode</mwg-rs:Type>'
        "</rdf:li></rdf:Seq></mwg-rs:RegionList></mwg-rs:Regions>",
        '<MPRI:Regions><rdf:Bag><rdf:li MPReg:PersonDisplayName="Marie Curie"/></rdf:Bag></MPRI:Regions>',
    ],
)
def test_the_names_of_people_are_keywords(properties: str) -> None:
    assert keywords_of(jpeg_with_xmp(properties)) == ("Marie Curie",)


def test_a_lens_in_xmp_is_read() -> None:
    source = jpeg_with_xmp("<aux:Lens>EF24-105mm f/4L IS USM</aux:Lens>")
    assert decode_original(source, max_pixels=10_000).picture.lens == "EF24-105mm f/4L IS USM"


@pytest.mark.parametrize(
    "gps",
    [
        {1: "N", 2: b"", 3: "E", 4: b""},
        {1: "N", 2: [0, 0, 0], 3: "E", 4: [0, 0, 0]},
        {1: "N", 2: [1, 0, 0], 3: "E", 4: [2, 0, 0], 9: "V"},
    ],
)
def test_a_receiver_without_a_fix_gives_no_position(gps: dict[int, str | bytes | list[int]]) -> None:
    from fractions import Fraction  # noqa: PLC0415

    values = {
        tag: [Fraction(part) for part in value] if isinstance(value, list) else value
        for tag, value in gps.items()
    }
    assert decode_original(jpeg_with_exif(gps=values), max_pixels=10_000).picture.position is None


def test_a_file_gives_a_bounded_number_of_keywords() -> None:
    many = [f"word {number}" for number in range(60_000)]
    assert keywords_of(with_chunks(png_itxt("XML:com.adobe.xmp", xmp(listed("dc:subject", *many))))) == tuple(
        many[:MAX_KEYWORDS]
    )
    assert sidecar_keywords(xmp(listed("dc:subject", *many))) == tuple(many[:MAX_KEYWORDS])


@pytest.mark.parametrize("filler", ["<!--%s-->", "<mail:x>%s</mail:x>", '<mail:x mail:y="%s"/>'])
def test_a_sidecar_of_many_megabytes_has_its_keywords(filler: str) -> None:
    packet = xmp(filler % ("y" * (3 << 20)) + listed("dc:subject", "cat"))
    assert sidecar_keywords(packet) == sidecar_keywords(io.BytesIO(packet)) == ("cat",)


def test_what_was_read_before_a_fault_is_kept() -> None:
    packet = xmp(listed("dc:subject", "cat", "dog"))
    assert sidecar_keywords(packet[: packet.index(b"dog")]) == ("cat",)
    assert sidecar_keywords(b"no XML") == ()


def test_entities_are_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "cat">]>' + xmp(listed("dc:subject", "&a;"))
    assert sidecar_keywords(bomb) == ()


def test_damaged_exif_gives_what_can_be_read() -> None:
    source = with_chunks(raw_profile("exif", b"Exif\0\0" + tiff({0x010F: "Make", 0x0110: "Model"})[:60]))
    assert decode_original(source, max_pixels=10_000).picture.mime == "image/png"
