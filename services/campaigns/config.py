"""What the campaigns processes need from their environment."""

from pydantic import Field, SecretStr

from chassis.config import BrokerSettings
from chassis.destinations import Networks, read_networks

MIB = 1024 * 1024


class CampaignsSettings(BrokerSettings):
    secrets_keys: SecretStr = Field(
        description="Fernet keys, comma separated: the first encrypts, all decrypt. Add one in front to rotate"
    )
    public_url: str = Field(description="Where providers post receipts: https://api.example.com")
    provider_networks: str = Field(
        default="",
        description="Where senders' providers may be besides the public Internet: 10.1.2.0/24, …, comma separated",
    )
    contacts_target: str = Field(description="gRPC target of contacts")
    segments_target: str = Field(description="gRPC target of segments")

    @property
    def allowed_networks(self) -> Networks:
        """Raises ValueError."""
        return read_networks(self.provider_networks)


class ServeSettings(CampaignsSettings):
    grpc_bind: str = Field(default="127.0.0.1:0", description="host:port of the gRPC server")
    upload_limit_bytes: int = Field(default=1024 * MIB, ge=1, description="Largest upload of recipients")
    # Below the gateway's own patience, so that a test message's end is told.
    provider_timeout_seconds: float = Field(default=5.0, gt=0, le=60, description="For one test message")


class WorkSettings(CampaignsSettings):
    dispatch_batches: int = Field(default=4, ge=1, le=64, description="Micro-batches under way at once")
    dispatch_chunks: int = Field(default=64, ge=1, le=1000, description="Chunks of recipients held at once")
    dispatch_lease_seconds: float = Field(
        default=5.0, ge=1, le=60, description="After how long without a heartbeat another worker takes a chunk over"
    )
    provider_timeout_seconds: float = Field(default=10.0, gt=0, le=60, description="For one call to a provider")
    reconcile_hours: float = Field(
        default=24.0,
        ge=0,
        description="Between two looks at a campaign's numbers; 0 leaves it to the command",
    )
