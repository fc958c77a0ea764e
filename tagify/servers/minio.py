"""A MinIO of our own, on loopback."""

from pathlib import Path

from tagify.servers.credentials import remembered, token
from tagify.servers.ports import answers
from tagify.servers.process import Program
from tagify.servers.s3 import S3Server, remember

PORTS = 1
"""Ports that it needs."""


def minio_server(binary: Path, folder: Path, port: int, log: Path | None) -> S3Server:
    """How to run MinIO on this folder and loopback port. Makes the folder and its credentials."""
    remember(folder, "minio")
    data = folder / "data"
    data.mkdir(exist_ok=True, mode=0o700)
    keys = remembered(folder / "keys.json", lambda: {"access": token(), "secret": token()})
    endpoint = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        return await answers(f"{endpoint}/minio/health/ready")

    program = Program(
        name="minio",
        argv=(str(binary), "server", str(data), "--address", f"127.0.0.1:{port}"),
        env={
            "MINIO_ROOT_USER": keys["access"],
            "MINIO_ROOT_PASSWORD": keys["secret"],
            "MINIO_BROWSER": "off",
            # It would ask its maker for news at every start.
            "MINIO_UPDATE": "off",
        },
        log=log,
        ready=ready,
    )
    return S3Server("minio", program, endpoint, keys["access"], keys["secret"])
