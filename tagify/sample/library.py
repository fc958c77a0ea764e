"""The files of the sample library: various sizes, formats, orientations and keywords."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from random import Random
from xml.sax.saxutils import escape

from PIL import ExifTags, Image, ImageDraw

from tagify.sample import scenes

ProgressCallback = Callable[[int, int], None]

RATIOS = ((3, 2), (2, 3), (16, 9), (1, 1), (3, 2), (21, 9), (4, 5), (16, 9), (1, 3), (3, 2))
WIDTHS = (1600, 1000, 1920, 1200, 1400, 2600, 1100, 2000, 520, 3000)
SCENES = (
    ("Mountains", scenes.mountains, ("mountains", "landscape")),
    ("Sea", scenes.sea, ("sea", "sunset")),
    ("Night", scenes.night, ("night", "stars")),
    ("Patterns", scenes.waves, ("pattern", "waves")),
    ("Patterns", scenes.circles, ("pattern", "abstract")),
    ("Mountains", scenes.mountains, ("mountains", "morning")),
    ("Patterns", scenes.tiles, ("pattern", "tiles")),
)
_FIRST_DAY = datetime(2019, 3, 1, 8, 30)
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag>{}</rdf:Bag>'
    "</dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
)
_INVERSE_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True, slots=True)
class _SampleFile:
    """One file of the library, and the function that draws it."""

    path: str
    draw: Callable[[Random], Image.Image]
    kind: str = "JPEG"
    keywords: tuple[str, ...] = ()
    orientation: int = 1
    options: dict[str, object] = field(default_factory=dict)


def make_sample(folder: Path, count: int = 60, progress: ProgressCallback | None = None) -> int:
    """Draw `count` images into a folder, keeping existing files; returns the number of files.

    `progress` is called with the number of finished files and the total.
    """
    files = list(islice(_sample_files(), count))
    for number, file in enumerate(files):
        path = folder / file.path
        if not path.exists():
            _write(path, _encode(file, number))
        if progress is not None:
            progress(number + 1, len(files))
    return len(files)


def _sample_files() -> Iterator[_SampleFile]:
    yield from _format_samples()
    for number, (folder, scene, keywords) in enumerate(cycle(SCENES)):
        across, down = RATIOS[number % len(RATIOS)]
        width = WIDTHS[number % len(WIDTHS)]
        size = width, max(1, width * down // across)
        suffix, kind = (".webp", "WEBP") if number % 9 == 4 else (".jpg", "JPEG")  # noqa: PLR2004
        shape = ("panorama",) if across > 2 * down else ("portrait",) if down > across else ()
        yield _SampleFile(
            f"{folder}/{keywords[-1]} {number + 1:02}{suffix}",
            lambda random, scene=scene, size=size: scene(size, random),  # type: ignore[misc]
            kind,
            (*keywords, *shape),
        )


def _format_samples() -> Iterator[_SampleFile]:
    """The files that test a decoder: all orientations, other formats, an animation."""
    for orientation in range(1, 9):
        yield _SampleFile(
            f"Formats/orientation-{orientation}.jpg",
            _arrow,
            "JPEG",
            ("orientation",),
            orientation,
        )
    for name, kind in (("Blüte.png", "PNG"), ("Flower.webp", "WEBP")):
        yield _SampleFile(f"Formats/{name}", lambda random: scenes.badge(640, random), kind, ("flower",))
    yield _SampleFile("Formats/Still.gif", lambda random: scenes.tiles((480, 320), random), "GIF", ("tiles",))
    frames = [scenes.circles((320, 240), Random(seed)) for seed in range(6)]  # noqa: S311
    yield _SampleFile(
        "Formats/Moving.gif",
        lambda _: frames[0],
        "GIF",
        ("animated",),
        options={"save_all": True, "append_images": frames[1:], "duration": 300, "loop": 0},
    )


def _arrow(_: Random) -> Image.Image:
    """An arrow that points up: all orientations must display the same."""
    picture = scenes.mountains((900, 600), Random(8))  # noqa: S311 - pictures, no secrets
    draw = ImageDraw.Draw(picture)
    draw.polygon([(450, 90), (600, 290), (300, 290)], fill="white")
    draw.rectangle((405, 285, 495, 480), fill="white")
    return picture


def _encode(file: _SampleFile, number: int) -> bytes:
    picture = file.draw(Random(number))  # noqa: S311 - pictures, no secrets
    if file.orientation in _INVERSE_TRANSPOSE:
        picture = picture.transpose(_INVERSE_TRANSPOSE[file.orientation])
    options = dict(file.options)
    if file.kind in ("JPEG", "WEBP"):
        options |= {"quality": 88, "exif": _exif(file, number), "xmp": _xmp(file.keywords)}
    elif file.kind == "PNG":
        options |= {"exif": _exif(file, number)}
    out = io.BytesIO()
    picture.save(out, file.kind, **options)
    return out.getvalue()


def _exif(file: _SampleFile, number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = file.orientation
    taken = _FIRST_DAY + timedelta(days=37 * number, minutes=97 * number)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken.strftime("%Y:%m:%d %H:%M:%S")
    return exif


def _xmp(keywords: tuple[str, ...]) -> bytes:
    return _XMP.format("".join(f"<rdf:li>{escape(word)}</rdf:li>" for word in keywords)).encode()


def _write(path: Path, data: bytes) -> None:
    """Write atomically, by a temporary name that ingest ignores: it never imports a partial file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.new")
    partial.write_bytes(data)
    partial.replace(path)
