"""Certificates that nobody else has signed, for servers on loopback."""

import asyncio
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import skip_or_fail


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """A certificate and its key, in PEM."""

    certificate: Path
    key: Path

    def client_context(self) -> ssl.SSLContext:
        """What a client goes by that trusts this certificate alone."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def der(self) -> bytes:
        """The certificate as it goes over the wire."""
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())


async def self_signed(folder: Path) -> CertificatePair:
    """A new pair in this folder, for 127.0.0.1; one that is there is replaced, as a renewal does it."""
    openssl = shutil.which("openssl") or skip_or_fail("openssl", "sudo apt-get install openssl")
    pair = CertificatePair(folder / "certificate.pem", folder / "key.pem")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = await asyncio.create_subprocess_exec(
        openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", *subject, "-keyout", str(pair.key), "-out", str(pair.certificate),
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert await made.wait() == 0
    return pair
