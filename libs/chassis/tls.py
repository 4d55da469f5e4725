"""Mutual TLS between the services: this process's certificate, its key and the authority of everybody's, from files.

Whoever renews certificates (cert-manager, and Kubernetes behind it) changes the files while we run. They are looked at
every LOOK_SECONDS, and what is opened from then on goes by the new ones: handshakes of a gRPC server at once, a gRPC
client by a new channel (grpc_client.py), connections to NATS when they are made. Open connections live on; a gRPC
server ends them in some minutes by their age. Files that do not fit together are left alone until they do: they may
be half renewed.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from prometheus_client import Gauge

from chassis.config import Settings, TlsFiles
from chassis.runner import Process

log = structlog.get_logger()

# Of an authority's file with several, which it has while the authority changes, the one that lasts longest.
EXPIRES = Gauge(
    "carillon_tls_certificate_expires_timestamp_seconds",
    "When the certificate in the file ends, in seconds since 1970: this process's own (cert), its authority's (ca)",
    ["file"],
)
LOOK_SECONDS = 10.0

ContextMaker = Callable[[], ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class Identity:
    """What was in the files at a moment."""

    cert: bytes
    key: bytes
    ca: bytes

    @classmethod
    def read(cls, files: TlsFiles) -> Self:
        """Raises OSError; ValueError where they are no certificates and key, or do not fit together."""
        found = cls(*(Path(path).read_bytes() for path in (files.cert, files.key, files.ca)))
        own = x509.load_pem_x509_certificate(found.cert).public_key()
        key = load_pem_private_key(found.key, password=None).public_key()
        spki = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        if own.public_bytes(*spki) != key.public_bytes(*spki):
            raise ValueError("the key is not the certificate's")
        x509.load_pem_x509_certificates(found.ca)
        return found

    def tell(self) -> None:
        """The metric."""
        EXPIRES.labels("cert").set(ends(x509.load_pem_x509_certificate(self.cert)))
        EXPIRES.labels("ca").set(max(map(ends, x509.load_pem_x509_certificates(self.ca))))


class Tls:
    """`run` is its loop. `identity` is another object after a renewal."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises what Identity.read raises."""
        self._files = files
        self.identity = Identity.read(files)
        self.identity.tell()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        try:
            found = Identity.read(self._files)
        except (OSError, ValueError) as error:
            log.warning("tls.unreadable", error=type(error).__name__)
            return
        if found != self.identity:
            self.identity = found
            found.tell()
            log.info("tls.renewed")

    def server_credentials(self) -> grpc.ServerCredentials:
        """Clients need a certificate of the authority. Each handshake goes by the newest files."""
        given = self.identity

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            # Called by gRPC's own threads.
            nonlocal given
            newest = self.identity
            if newest is given:
                return None
            given = newest
            return configuration(newest)

        return grpc.dynamic_ssl_server_credentials(
            configuration(given),
            renewed,  # type: ignore[arg-type]  # None says that nothing changed
            require_client_authentication=True,
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Of the newest files, for good."""
        newest = self.identity
        return grpc.ssl_channel_credentials(newest.ca, newest.key, newest.cert)


def opened(process: Process, settings: Settings) -> Tls | None:
    """Of the process, which looks after it; None where it has no certificate. Raises what Identity.read raises."""
    if settings.tls_files is None:
        return None
    tls = Tls(settings.tls_files)
    process.loop("tls", tls.run)
    return tls


def configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(identity.key, identity.cert)], identity.ca)


def to_others(ca: str, own: TlsFiles | None) -> ContextMaker:
    """Of a connection to a server that is none of ours, made from the files as they are then.

    ca: the file of the server's authority; empty: whoever the system trusts. own: shown where the server asks for it.
    """

    def make() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=ca or None)
        if own is not None:
            context.load_cert_chain(own.cert, own.key)
        return context

    return make


def ends(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()
