"""Embedded MinIO, on loopback."""

from pathlib import Path

from tagify.servers.credentials import generate_password, load_or_create
from tagify.servers.ports import http_responds
from tagify.servers.process import Program
from tagify.servers.s3 import S3Server, record_server_kind

PORTS = 1
"""Number of ports it needs."""


def minio_server(binary: Path, folder: Path, port: int, log: Path | None) -> S3Server:
    """Return MinIO's program for this folder and loopback port. Creates the folder and its credentials."""
    record_server_kind(folder, "minio")
    data = folder / "data"
    data.mkdir(exist_ok=True, mode=0o700)
    keys = load_or_create(
        folder / "keys.json", lambda: {"access": generate_password(), "secret": generate_password()}
    )
    endpoint = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        return await http_responds(f"{endpoint}/minio/health/ready")

    program = Program(
        name="minio",
        argv=(str(binary), "server", str(data), "--address", f"127.0.0.1:{port}"),
        env={
            "MINIO_ROOT_USER": keys["access"],
            "MINIO_ROOT_PASSWORD": keys["secret"],
            "MINIO_BROWSER": "off",
            # Without this it contacts its vendor for updates at every start.
            "MINIO_UPDATE": "off",
        },
        log=log,
        ready=ready,
    )
    return S3Server("minio", program, endpoint, keys["access"], keys["secret"])
