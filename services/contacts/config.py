"""What the processes of this service read from the environment."""

from pydantic import Field, SecretStr

from chassis.config import BrokerSettings


class ErasingSettings(BrokerSettings):
    erasure_key: SecretStr = Field(
        description="base64 of 32 random bytes or more, kept for ever: addresses of deleted contacts are hashed with it"
    )


class ServeSettings(ErasingSettings):
    grpc_bind: str = Field(default="127.0.0.1:0", description="host:port of the gRPC server")
    upload_limit_bytes: int = Field(default=1024**3, ge=1, description="Most bytes of one upload")


class WorkSettings(ErasingSettings):
    import_slots: int = Field(default=2, ge=1, le=16, description="Imports that one process works on at a time")
    segments_target: str = Field(description="gRPC target of segments")
    campaigns_target: str = Field(description="gRPC target of campaigns")
    export_slots: int = Field(default=2, ge=1, le=16, description="Exports that one process works on at a time")
