"""The ingest daemon as a separate process, which tests can kill."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from tagify.settings import IngestSettings

COMMAND = (sys.executable, "-m", "ingest")


def environment(settings: IngestSettings) -> dict[str, str]:
    """Environment variables for the settings that differ from the defaults."""
    values = {f"TAGIFY_{name.upper()}": _text(getattr(settings, name)) for name in settings.model_fields_set}
    return {**os.environ, "TAGIFY_INGEST_PORT": "0", "TAGIFY_LOG_FORMAT": "text", **values}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@asynccontextmanager
async def process(
    settings: IngestSettings, log: Path, command: Sequence[str] = COMMAND
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the daemon until the end of the block; its log is appended to a file."""
    with log.open("ab") as out:
        started = await asyncio.create_subprocess_exec(
            *command, env=environment(settings), stdout=out, stderr=out
        )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.send_signal(signal.SIGCONT)
            started.terminate()
            try:
                async with asyncio.timeout(15):
                    await started.wait()
            except TimeoutError:
                started.kill()
                await started.wait()
