"""gRPC's health protocol: one answer for the server as a whole and for each of its services.

It says whether calls should come here, and nothing of what they need: readiness knows that (runner.py), and a call
that finds the database away says so itself. Clients of ours watch it (grpc_client.py), so that they leave a server
before it refuses anything. grpc_health's own servicer never ends a Watch, and a server that stops would wait for it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]

Status = health_pb2.HealthCheckResponse.ServingStatus
SERVING, NOT_SERVING, SERVICE_UNKNOWN = Status.SERVING, Status.NOT_SERVING, Status.SERVICE_UNKNOWN
# The server as a whole.
WHOLE = ""


class Health(health_pb2_grpc.HealthServicer):
    def __init__(self, services: Iterable[str]) -> None:
        """services: full names, such as carillon.contacts.v1.ContactsService."""
        self._known = {WHOLE, *services}
        self._status = SERVING
        self._closed = False
        self._watching = 0
        self._changed = asyncio.Event()

    @property
    def watched(self) -> bool:
        return self._watching > 0

    def leave(self) -> None:
        """Calls should go elsewhere from now on."""
        self._status = NOT_SERVING
        self._tell()

    def close(self) -> None:
        """Ends every Watch."""
        self._closed = True
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: "Context") -> health_pb2.HealthCheckResponse:
        if request.service not in self._known:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service here.")
        return health_pb2.HealthCheckResponse(status=self._status)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: "Context"
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        told: int | None = None
        self._watching += 1
        try:
            while True:
                changed = self._changed
                status = self._status if request.service in self._known else SERVICE_UNKNOWN
                if status != told:
                    yield health_pb2.HealthCheckResponse(status=status)
                    told = status
                if self._closed:
                    return
                await changed.wait()
        finally:
            self._watching -= 1
