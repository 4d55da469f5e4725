"""Settings common to every process, read from the environment once, in `__main__`, and passed down."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    log_level: str = Field(default="info", description="debug, info, warning or error")
    retention_hours: float = Field(
        default=72.0,
        gt=0,
        description="How long told events, stored answers and files are kept; the same in all processes",
    )
    cleaning_seconds: float = Field(default=300.0, gt=0, description="Between two looks for what has had its time")

    @property
    def retention(self) -> timedelta:
        return timedelta(hours=self.retention_hours)


class BrokerSettings(Settings):
    """Of a process that connects to NATS."""

    nats_url: str = Field(description="nats://user:password@host:port, several comma separated")
    stream_replicas: int = Field(
        default=1, ge=1, le=5, description="On how many of NATS' servers events are stored, when the streams are made"
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
