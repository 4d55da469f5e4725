"""What the processes of this service read from the environment."""

from pydantic import Field

from chassis.config import Settings


class ServeSettings(Settings):
    grpc_bind: str = Field(default="127.0.0.1:0", description="host:port of the gRPC server")
    upload_limit_bytes: int = Field(default=1024**3, ge=1, description="Most bytes of one upload")


class WorkSettings(Settings):
    import_slots: int = Field(default=2, ge=1, le=16, description="Imports that one process works on at a time")
    export_slots: int = Field(default=2, ge=1, le=16, description="Exports that one process works on at a time")
