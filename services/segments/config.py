"""What the processes of this service read from the environment."""

from pydantic import Field

from chassis.config import Settings


class ServeSettings(Settings):
    grpc_bind: str = Field(default="127.0.0.1:0", description="host:port of the gRPC server")


class WorkSettings(Settings):
    pass
