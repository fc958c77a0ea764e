"""XMP packets and sidecars, parsed as a stream: no tree is built, and work and memory are bounded.

Entities and document types are refused, as defusedxml does: XMP needs none, and they can expand without end.
What was read before an error or a bound is kept.
"""

import contextlib
import io
from dataclasses import dataclass, field
from typing import BinaryIO
from xml.parsers import expat

from tagify.imaging.metadata.limits import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_KEYWORDS,
    MAX_PACKET_BYTES,
    MAX_TEXT,
    MAX_TOKEN_BYTES,
)

_CHUNK_BYTES = 256 << 10
_SEPARATOR = " "
"""Between namespace and name; it occurs in neither."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
_ROOT = f"{_RDF}RDF"
_DESCRIPTION = f"{_RDF}Description"
_ITEM = f"{_RDF}li"
_VALUE = f"{_RDF}value"
_LISTS = {f"{_RDF}Bag", f"{_RDF}Seq", f"{_RDF}Alt"}

_EXIF = "http://ns.adobe.com/exif/1.0/ "
_XMP = "http://ns.adobe.com/xap/1.0/ "
_AUX = "http://ns.adobe.com/exif/1.0/aux/ "
_TIFF = "http://ns.adobe.com/tiff/1.0/ "

SUBJECT = "http://purl.org/dc/elements/1.1/ subject"
PERSON = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/ PersonInImage"
HIERARCHIES = {
    "http://ns.adobe.com/lightroom/1.0/ hierarchicalSubject": "|",
    "http://www.digikam.org/ns/1.0/ TagsList": "/",
    "http://ns.microsoft.com/photo/1.0/ LastKeywordXMP": "/",
    "http://ns.microsoft.com/photo/1.0 LastKeywordXMP": "/",
}
"""Properties whose items are paths of keywords, and their separators."""

CAPTURE_TIMES = (
    f"{_EXIF}DateTimeOriginal",
    "http://ns.adobe.com/photoshop/1.0/ DateCreated",
    f"{_EXIF}DateTimeDigitized",
    f"{_XMP}CreateDate",
)
"""Properties for the time of capture, in order of preference."""

MODIFY_TIME = f"{_XMP}ModifyDate"
LENSES = ("http://cipa.jp/exif/1.0/ LensModel", f"{_AUX}Lens", f"{_AUX}LensModel")
MAKE, MODEL = f"{_TIFF}Make", f"{_TIFF}Model"

_LISTED = {SUBJECT, PERSON, *HIERARCHIES}
_SIMPLE = {*CAPTURE_TIMES, MODIFY_TIME, *LENSES, MAKE, MODEL}
_KNOWN = _LISTED | _SIMPLE
_DEPTH_OF_VALUE = 4
"""Elements from a property down to the rdf:value of an item of its list."""

_REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/ "
_REGION_NAME, _REGION_TYPE = f"{_REGIONS}Name", f"{_REGIONS}Type"
_PERSON_NAMES = {
    "http://ns.microsoft.com/photo/1.2/t/Region# PersonDisplayName",
    "http://ns.microsoft.com/photo/1.2/t/Region PersonDisplayName",
}
_REGION_FIELDS = {_REGION_NAME, _REGION_TYPE, *_PERSON_NAMES}


@dataclass(slots=True)
class XmpProperties:
    """The properties of a packet that are used. `simple` maps names of single values to their texts."""

    subjects: list[str] = field(default_factory=list)
    leaves: list[str] = field(default_factory=list)
    """The last parts of hierarchical keywords: `Rome` of `Places|Rome`."""
    people: list[str] = field(default_factory=list)
    simple: dict[str, str] = field(default_factory=dict)


class _PacketRefused(Exception):
    """The packet exceeds a bound, or declares a document type or entities."""


def read_xmp(packet: bytes | BinaryIO) -> XmpProperties:
    """The properties of an XMP packet, or of a stream that holds one."""
    stream = io.BytesIO(packet) if isinstance(packet, bytes) else packet
    reader = _XmpReader()
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    with contextlib.suppress(expat.ExpatError, _PacketRefused, ValueError, LookupError):
        _feed(parser, stream)
    return reader.properties


def _feed(parser: expat.XMLParserType, stream: BinaryIO) -> None:
    fed = 0
    while fed < MAX_PACKET_BYTES and (chunk := stream.read(_CHUNK_BYTES)):
        if not fed:
            chunk = chunk.lstrip()
        parser.Parse(chunk, False)
        fed += len(chunk)
        if fed - parser.CurrentByteIndex > MAX_TOKEN_BYTES:
            raise _PacketRefused


def _refuse(*_: object) -> None:
    raise _PacketRefused


class _XmpReader:
    """Handles the parser's events. It holds the open elements and the text of one value."""

    def __init__(self) -> None:
        self.properties = XmpProperties()
        self._path: list[str] = []
        self._top = 0
        """Number of open elements down to the description; 0 outside of one."""
        self._elements = 0
        self._text: list[str] = []
        self._text_length = 0
        self._is_value = False
        self._is_known = False
        """Whether the property that is open is one that is used."""
        self._regions: list[tuple[int, dict[str, str]]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        path = self._path
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(path) >= MAX_DEPTH:
            raise _PacketRefused
        path.append(name)
        if self._text:
            self._clear_text()
        if self._top:
            self._start_in_description(name)
        elif name == _DESCRIPTION and path[-2:-1] == [_ROOT]:
            self._top = len(path)
        if attributes:
            self._read_attributes(name, attributes)

    def _start_in_description(self, name: str) -> None:
        if len(self._path) == self._top + 1:
            self._is_known = name in _KNOWN
        if self._is_known:
            self._is_value = bool(self._property())
            return
        if name == _ITEM:
            self._regions.append((len(self._path), {}))
        self._is_value = self._is_region_field(name)

    def end(self, name: str) -> None:
        path = self._path
        if self._is_value:
            self._record(name, "".join(self._text).strip())
            self._clear_text()
            self._is_value = False
        if self._regions and self._regions[-1][0] == len(path):
            self._end_region(self._regions.pop()[1])
        if self._top == len(path):
            self._top = 0
        path.pop()

    def text(self, data: str) -> None:
        if self._is_value and self._text_length <= MAX_TEXT:
            self._text.append(data[: MAX_TEXT + 1])
            self._text_length += len(data)

    def _clear_text(self) -> None:
        self._text.clear()
        self._text_length = 0

    def _property(self) -> str:
        """The property of the description of which the innermost element is a value, or empty.

        A value is the property itself, an item of its list, or the rdf:value of an item.
        """
        path, top = self._path, self._top
        depth = len(path) - top
        if not top or not 1 <= depth <= _DEPTH_OF_VALUE:
            return ""
        inner = path[top + 1 :]
        is_item = inner[1:2] == [_ITEM] and inner[0] in _LISTS and inner[2:] in ([], [_VALUE])
        return path[top] if is_item or not inner else ""

    def _is_region_field(self, name: str) -> bool:
        return bool(self._regions) and name in _REGION_FIELDS

    def _read_attributes(self, name: str, attributes: dict[str, str]) -> None:
        """Values written as attributes: of the description itself, or of a region."""
        is_top = name == _DESCRIPTION and self._top == len(self._path)
        for key, value in attributes.items():
            if len(value) > MAX_TEXT:
                continue
            if is_top and key in _SIMPLE:
                self.properties.simple.setdefault(key, value.strip())
            elif self._is_region_field(key):
                self._regions[-1][1].setdefault(key, value.strip())

    def _record(self, name: str, text: str) -> None:
        if not text or self._text_length > MAX_TEXT:
            return
        if self._is_region_field(name):
            self._regions[-1][1].setdefault(name, text)
            return
        top = self._property()
        if top in _SIMPLE:
            self.properties.simple.setdefault(top, text)
        elif top == SUBJECT:
            _append(self.properties.subjects, text)
        elif top == PERSON:
            _append(self.properties.people, text)
        elif separator := HIERARCHIES.get(top, ""):
            _append(self.properties.leaves, text.rstrip(separator).rpartition(separator)[2])

    def _end_region(self, region: dict[str, str]) -> None:
        """A region of a face names a person; others are focus points, bar codes and pets."""
        if region.get(_REGION_TYPE, "Face") == "Face" and (name := region.get(_REGION_NAME, "")):
            _append(self.properties.people, name)
        for key in _PERSON_NAMES & region.keys():
            _append(self.properties.people, region[key])


def _append(values: list[str], value: str) -> None:
    if len(values) < MAX_KEYWORDS:
        values.append(value)
