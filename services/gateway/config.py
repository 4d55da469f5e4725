"""The gateway's settings. See chassis.config for those that every service has."""

from pydantic import Field, SecretStr

from chassis.config import PacedSettings, Settings


class WebhookSettings(Settings):
    """Of whoever keeps webhooks or delivers to them."""

    secrets_keys: SecretStr = Field(
        description="Fernet keys, comma separated: the first encrypts, all decrypt. Add one in front to rotate"
    )
    webhook_private_addresses: bool = Field(
        default=False, description="Webhooks may go to any address, and by http://: for tests and laptops"
    )


class GatewaySettings(WebhookSettings):
    http_bind: str = Field(default="127.0.0.1:8080", description="host:port of the public REST API")
    public_url: str = Field(
        default="http://127.0.0.1:8080", description="Where clients and providers reach us; no slash at the end"
    )
    contacts_target: str = Field(description="gRPC target of the contacts service")
    segments_target: str = Field(description="gRPC target of the segments service")
    campaigns_target: str = Field(description="gRPC target of the campaigns service")
    upload_limit_bytes: int = Field(default=1 << 30, ge=1, description="Largest upload, all its parts together")
    upload_timeout_seconds: float = Field(default=3600.0, gt=0, description="Longest time that an upload may take")
    call_timeout_seconds: float = Field(default=10.0, gt=0, description="Deadline of an ordinary call to a service")
    import_wait_seconds: float = Field(default=60.0, ge=0, description="How long a one-step import waits for its end")
    rate_limit_per_second: int = Field(
        default=5000, ge=1, le=100_000, description="Requests a second of an API key that has no limit of its own"
    )
    cors_origins: str = Field(
        default="", description="Origins whose pages may call the API, comma separated, or *; none by default"
    )
    key_cache_seconds: float = Field(default=4.0, ge=0, description="How long a revoked key may still be accepted")


class WorkSettings(PacedSettings, WebhookSettings):
    webhook_timeout_seconds: float = Field(default=15.0, gt=0, le=60, description="For one attempt, name to answer")
    webhook_endpoints: int = Field(default=256, ge=2, le=5000, description="Endpoints that are delivered to at once")
    webhook_lease_seconds: float = Field(
        default=15.0, ge=1, le=300, description="After how long another worker takes over what a dead one held"
    )
