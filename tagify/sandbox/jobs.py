"""What a decoding process can be asked to do. Imported there; the parent needs the names alone."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """A piece of work on one file. Fields that its work does not use are left as they are.

    `work` is one of: `measure` (memory that decoding will take, in bytes), `variant` (the picture at
    most `width` wide, or as wide as it is where that is 0, as `mime`), `enlarge_never` (the same of a
    picture that is as wide as that; of a narrower one its width, as a number).
    """

    operation: str
    max_pixels: int
    width: int = 0
    mime: str = ""


def run_job(job: DecodeJob, source: Path) -> int | bytes:
    """Do it. Raises Undecodable; anything else that decoders come up with."""
    from tagify import imaging  # noqa: PLC0415 - decoders are loaded where they run

    match job.operation:
        case "measure":
            return imaging.estimate_decode_bytes(source, max_pixels=job.max_pixels)
        case "enlarge_never" if (natural := imaging.natural_width(source)) < job.width:
            return natural
        case "variant" | "enlarge_never":
            return imaging.render_variant(
                source, width=job.width or None, mime=job.mime, max_pixels=job.max_pixels
            )
    raise ValueError(f"there is no work named {job.operation}")
