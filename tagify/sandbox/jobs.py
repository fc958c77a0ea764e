"""The jobs of a worker. The parent uses the class only; the decoders are imported in the worker."""

from dataclasses import dataclass
from pathlib import Path

from tagify.model import THUMB_SIZE


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """One operation on the bytes of one image.

    `operation` is one of:

    - `measure`: an estimate of the memory that decoding takes, in bytes;
    - `variant`: the image encoded as `mime`, at most `width` pixels wide (0: its own width);
    - `variant_unless_narrower`: the same, but only the image's width, as a number, if that is below `width`.
    """

    operation: str
    max_pixels: int
    width: int = 0
    mime: str = ""


def run_job(job: DecodeJob, source: Path) -> int | bytes:
    """Run a job. Raises Undecodable, and whatever a decoder raises."""
    from tagify import imaging  # noqa: PLC0415 - decoders are loaded in workers only

    match job.operation:
        case "measure":
            return imaging.estimate_decode_bytes(
                source, max_pixels=job.max_pixels, width=job.width or THUMB_SIZE
            )
        case "variant_unless_narrower" if (natural := imaging.natural_width(source)) < job.width:
            return natural
        case "variant" | "variant_unless_narrower":
            return imaging.render_variant(
                source, width=job.width or None, mime=job.mime, max_pixels=job.max_pixels
            )
    raise ValueError(f"unknown operation {job.operation}")
