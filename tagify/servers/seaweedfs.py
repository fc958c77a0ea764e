"""Embedded SeaweedFS, on loopback, with its open defaults closed.

By default anyone can delete a bucket through its master port, read through its S3 port, and remove objects
with `weed shell` through its gRPC ports. The flags and files here close all three: gRPC accepts only clients
with the certificate that is in the private folder (mutual TLS). They are passed at every start, since it
stores the last ones.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

from tagify.servers.credentials import generate_password, load_or_create, write_private_file
from tagify.servers.ports import http_responds
from tagify.servers.process import ProcessError, Program
from tagify.servers.s3 import S3Server, record_server_kind
from tagify.servers.tls import Certificate, load_or_create_certificate

PORTS = 10
"""Number of consecutive ports it needs."""

GRPC_PORT_OFFSETS = (2, 4, 6, 7, 9)
"""gRPC ports of master, volume server, filer, S3 gateway and admin, from the first port on."""

_GRPC_COMPONENTS = (
    "master", "volume", "filer", "s3", "admin", "worker", "client", "mq", "msg_broker", "msg_agent",
)  # fmt: skip

_FSYNC = "fs.configure -locationPrefix=/buckets/ -fsync -apply\n"
_SHELL_TIMEOUT_S = 20.0
_SERVER_ERROR = 500


def seaweedfs_server(binary: Path, folder: Path, port: int, log: Path | None) -> S3Server:
    """Return SeaweedFS's program for this folder and the ten loopback ports from `port` on.

    Creates the folder, its credentials and configuration.
    """
    record_server_kind(folder, "seaweedfs")
    data, config, logs = folder / "data", folder / "config", folder / "logs"
    for subfolder in (data, config, logs):
        subfolder.mkdir(exist_ok=True, mode=0o700)
        subfolder.chmod(0o700)
    keys = load_or_create(
        folder / "keys.json",
        lambda: {
            name: generate_password() for name in ("access", "secret", "write", "read", "filer", "filer_read")
        },
    )
    _write_configuration(config, keys, load_or_create_certificate(config))
    endpoint = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        # An anonymous request is refused with 403: that means ready, too.
        return await http_responds(endpoint, below=_SERVER_ERROR)

    async def post_start() -> None:
        await _enable_fsync(binary, config, port)

    program = Program(
        name="seaweedfs",
        argv=(str(binary), *_arguments(data, config, logs, port)),
        env={"GOMEMLIMIT": "512MiB"},
        log=log,
        ready=ready,
        post_start=post_start,
    )
    return S3Server("seaweedfs", program, endpoint, keys["access"], keys["secret"])


def _arguments(data: Path, config: Path, logs: Path, port: int) -> list[str]:
    return [
        # Errors only, beside files of bounded size: its worker warns every five seconds, because it looks for
        # the admin server at another port.
        "-logtostderr=false",
        "-alsologtostderr=false",
        "-stderrthreshold=ERROR",
        f"-logdir={logs}",
        "-log_max_files=2",
        "-log_max_size_mb=4",
        f"-config_dir={config}",
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.port={port}",
        f"-s3.port.grpc={port + 7}",
        f"-master.port={port + 1}",
        f"-master.port.grpc={port + 2}",
        f"-volume.port={port + 3}",
        f"-volume.port.grpc={port + 4}",
        f"-filer.port={port + 5}",
        f"-filer.port.grpc={port + 6}",
        f"-admin.port={port + 8}",
        f"-admin.port.grpc={port + 9}",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        f"-s3.config={config / 's3.json'}",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.autoCreateBucket=false",
        "-master.volumeSizeLimitMB=256",
        "-volume.max=1000",
        "-volume.preStopSeconds=0",
        "-filer.exposeDirectoryData=false",
        "-disableHttp",
    ]


def _write_configuration(config: Path, keys: dict[str, str], certificate: Certificate) -> None:
    identity = {
        "name": "app",
        "credentials": [{"accessKey": keys["access"], "secretKey": keys["secret"]}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    write_private_file(config / "s3.json", json.dumps({"identities": [identity]}))
    sections = {
        "jwt.signing": keys["write"],
        "jwt.signing.read": keys["read"],
        "jwt.filer_signing": keys["filer"],
        "jwt.filer_signing.read": keys["filer_read"],
    }
    tokens = (f'[{name}]\nkey = "{key}"\nexpires_after_seconds = 60\n' for name, key in sections.items())
    write_private_file(config / "security.toml", "".join([*tokens, *_grpc_sections(certificate)]))


def _grpc_sections(pair: Certificate) -> Iterator[str]:
    """Yield the sections that make every component serve and call gRPC with this certificate only."""
    certificate, key = json.dumps(str(pair.certificate)), json.dumps(str(pair.key))
    yield f"[grpc]\nca = {certificate}\n"
    for name in _GRPC_COMPONENTS:
        yield f"[grpc.{name}]\ncert = {certificate}\nkey = {key}\n"


async def _enable_fsync(binary: Path, config: Path, port: int) -> None:
    """Enable fsync before each acknowledgement (off by default). Raises ProcessError."""
    shell = await asyncio.create_subprocess_exec(
        str(binary),
        f"-config_dir={config}",
        "shell",
        f"-master=127.0.0.1:{port + 1}.{port + 2}",
        f"-filer=127.0.0.1:{port + 5}.{port + 6}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_SHELL_TIMEOUT_S):
            out, _ = await shell.communicate(_FSYNC.encode())
    finally:
        if shell.returncode is None:
            shell.kill()
            await shell.wait()
    if b'"fsync":' not in out.replace(b" ", b"") and b'"fsync": true' not in out:
        raise ProcessError(f"seaweedfs: cannot enable fsync:\n{out.decode(errors='replace')}")
