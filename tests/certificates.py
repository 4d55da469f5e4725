"""Certificates made for a test: an authority, what it signs, and both as files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chassis.config import TlsFiles

HERE = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Issued:
    """PEM."""

    cert: bytes
    key: bytes
    ca: bytes
    # In seconds since 1970.
    expires: float

    def write(self, folder: Path) -> TlsFiles:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in (("tls.crt", self.cert), ("tls.key", self.key), ("ca.crt", self.ca)):
            (folder / name).write_bytes(data)
        return TlsFiles(*(str(folder / name) for name in ("tls.crt", "tls.key", "ca.crt")))


class Authority:
    def __init__(self, name: str = "test") -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._begun(self._name, self._key.public_key(), timedelta(days=3650))
        certificate = certificate.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem = certificate.sign(self._key, SHA256()).public_bytes(Encoding.PEM)

    def issue(self, names: Sequence[str] = HERE, *, days: float = 90) -> Issued:
        """names: of hosts, or addresses. days: from now to its end; a negative one has ended."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._begun(subject, key.public_key(), timedelta(days=days))
        alternatives = x509.SubjectAlternativeName([general(name) for name in names])
        made = certificate.add_extension(alternatives, critical=False).sign(self._key, SHA256())
        return Issued(
            made.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            self.pem,
            made.not_valid_after_utc.timestamp(),
        )

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, lasts: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + min(lasts, timedelta()) - timedelta(days=1))
            .not_valid_after(now + lasts)
        )


def general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
