"""A private certificate for mutual TLS between the processes of one embedded server."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tagify.servers.discovery import ServerNotFound

VALID_DAYS = 36_500
"""The certificate is used on loopback only, and only its owner has the key: it never needs a renewal."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a self-signed certificate, which is its own authority, and of its key."""

    certificate: Path
    key: Path


def load_or_create_certificate(folder: Path) -> Certificate:
    """Return the certificate in this private folder; creates it with `openssl` at the first start (0.05 s).

    Raises ServerNotFound without openssl.
    """
    pair = Certificate(folder / "grpc.crt", folder / "grpc.key")
    if not (pair.certificate.is_file() and pair.key.is_file()):
        with tempfile.TemporaryDirectory(dir=folder) as partial:
            created = Certificate(Path(partial) / "crt", Path(partial) / "key")
            _create(created)
            created.key.replace(pair.key)
            created.certificate.replace(pair.certificate)
    return pair


def _create(pair: Certificate) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise ServerNotFound("the S3 server's certificate needs openssl: sudo apt-get install openssl")
    arguments = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    files = ("-keyout", str(pair.key), "-out", str(pair.certificate))
    subject = ("-subj", "/CN=tagify", "-days", str(VALID_DAYS))
    completed = subprocess.run(  # noqa: S603
        (openssl, *arguments, *files, *subject), capture_output=True, text=True, check=False, umask=0o077
    )
    if completed.returncode:
        raise ServerNotFound(f"openssl cannot create a certificate: {completed.stderr.strip()}")
