"""Settings common to every process, read from the environment once, in `__main__`, and passed down."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files. cert: with the certificates between it and the authority's, if there are any."""

    cert: str
    key: str
    ca: str


class Settings(BaseSettings):
    """Each service subclasses it with what it needs besides. Secrets have no default."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="CARILLON_", frozen=True)

    database_url: str = Field(description="postgresql://role:password@host:port/database; the role decides")
    database_pool: int = Field(default=10, ge=2, le=200, description="Most connections of this process")
    ops_bind: str = Field(default="127.0.0.1:0", description="host:port of /metrics, /healthz and /readyz")
    token_private_key: str = Field(description="base64 of this service's Ed25519 seed")
    token_public_keys: dict[str, str] = Field(
        description="JSON: service to base64 of its Ed25519 public key, or of two, comma separated, while it is rotated"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Of what is written at the least"
    )
    retention_hours: float = Field(
        default=72.0,
        gt=0,
        description="How long told events, stored answers and files are kept; the same in all processes",
    )
    cleaning_seconds: float = Field(default=300.0, gt=0, description="Between two looks for what has had its time")
    tls_cert: str = Field(
        default="", description="PEM file: this process's certificate. Empty: no TLS between services"
    )
    tls_key: str = Field(default="", description="PEM file: the certificate's key")
    tls_ca: str = Field(default="", description="PEM file: the authority of all services' certificates")

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        if len({bool(path) for path in (self.tls_cert, self.tls_key, self.tls_ca)}) != 1:
            raise ValueError("tls_cert, tls_key and tls_ca go together")
        return self

    @property
    def retention(self) -> timedelta:
        return timedelta(hours=self.retention_hours)

    @property
    def tls_files(self) -> TlsFiles | None:
        return TlsFiles(self.tls_cert, self.tls_key, self.tls_ca) if self.tls_cert else None


class BrokerSettings(Settings):
    """Of a process that connects to NATS."""

    nats_url: str = Field(description="nats://user:password@host:port, several comma separated; tls:// insists on TLS")
    nats_ca: str = Field(default="", description="PEM file: the authority of NATS's certificate. Empty: the system's")
    stream_replicas: int = Field(
        default=1, ge=1, le=5, description="On how many of NATS' servers events are stored, when the streams are made"
    )


class PacedSettings(BrokerSettings):
    """Of a process whose bulk events can wait."""

    bulk_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Of the time, what bulk events take while contacts are imported: 1 where imports run elsewhere",
    )


class MigrateSettings(BaseSettings):
    """What `migrate` needs: the owner's database URL and nothing else."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="CARILLON_", frozen=True)

    database_url: str
    log_level: str = "info"


def host_and_port(bind: str) -> tuple[str, int]:
    """`127.0.0.1:80` or `[::]:80`. Raises ValueError."""
    host, _, port = bind.rpartition(":")
    if not host:
        raise ValueError(f"{bind!r} is not host:port")
    return host.strip("[]"), int(port)
