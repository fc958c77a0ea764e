"""Self-signed certificates for servers on loopback."""

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
        """The TLS context of a client that trusts this certificate only."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def der(self) -> bytes:
        """The certificate in DER, as sent in the handshake."""
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())


async def self_signed(folder: Path) -> CertificatePair:
    """Generate a pair for 127.0.0.1 in this folder, replacing an existing one as a renewal does."""
    openssl = shutil.which("openssl") or skip_or_fail("openssl", "sudo apt-get install openssl")
    pair = CertificatePair(folder / "certificate.pem", folder / "key.pem")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    process = await asyncio.create_subprocess_exec(
        openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", *subject, "-keyout", str(pair.key), "-out", str(pair.certificate),
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == 0
    return pair
