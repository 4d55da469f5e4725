"""What the processes of this service read from the environment."""

from pydantic import Field

from chassis.config import BrokerSettings, PacedSettings


class ServeSettings(BrokerSettings):
    grpc_bind: str = Field(default="127.0.0.1:0", description="host:port of the gRPC server")


class WorkSettings(PacedSettings):
    contacts_target: str = Field(description="gRPC target of contacts, with which the projection is compared")
    reconcile_hours: float = Field(
        default=6.0, ge=0, description="Between two comparisons of an account, about; 0 leaves it to the command"
    )
    reconcile_pause_seconds: float = Field(
        default=10.0, ge=0, description="Of the comparison, behind 500 contacts with which all was well"
    )
