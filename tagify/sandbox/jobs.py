"""The jobs of a worker. The parent uses the class only; the decoders are imported in the worker."""

from dataclasses import dataclass
from io import BufferedReader

from tagify.model import THUMB_SIZE
from tagify.sandbox import results


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """One operation on the bytes of one file.

    `operation` is one of:

    - `measure`: an estimate of the memory that decoding takes, in bytes;
    - `variant`: the image encoded as `mime`, at most `width` pixels wide (0: its own width);
    - `variant_unless_narrower`: the same, but only the image's width, as a number, if that is below `width`;
    - `thumbnail`: metadata and thumb (`results.pack_original`), but only the estimate, as a number, if that
      is above `max_decode_bytes`;
    - `sidecar`: the keywords of an XMP sidecar file (`results.pack_keywords`).
    """

    operation: str
    max_pixels: int
    width: int = 0
    mime: str = ""
    max_decode_bytes: int = 0
    memory_bytes: int = 0
    """Limit of the worker's memory for this job, below the limit of all jobs. 0: that limit."""
    cpu_s: float = 0.0
    """CPU time after which the worker ends, in seconds. 0: only the deadline, which is wall time."""


def run_job(job: DecodeJob, source: BufferedReader) -> int | bytes:
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
        case "thumbnail":
            return _thumbnail(job, source)
        case "sidecar":
            source.seek(0)
            return results.pack_keywords(imaging.sidecar_keywords(source))
    raise ValueError(f"unknown operation {job.operation}")


def _thumbnail(job: DecodeJob, source: BufferedReader) -> int | bytes:
    from tagify import imaging  # noqa: PLC0415

    estimate = imaging.estimate_decode_bytes(source, max_pixels=job.max_pixels)
    if estimate > job.max_decode_bytes:
        return estimate
    return results.pack_original(imaging.decode_original(source, max_pixels=job.max_pixels))
