"""A gRPC server whose methods are `async def Name(self, call, request)`, each naming who may call it.

One wrapper around every method does what a pile of interceptors would: it authenticates, opens the span, holds the
deadline, renders errors (google.rpc.Status), answers replays, and counts. There is no way to register a method
without it.

A stop takes nothing away from a client. Health says that calls should go elsewhere, and those that come all the same
are served until none does; only then connections are told to end, and calls under way do. gRPC's own stop alone breaks
off calls that arrive at that moment, and their clients cannot know whether they were made. Health says it no sooner,
because clients look for new servers when a connection ends, and not for what health says: calls of a client that knows
this server alone wait in between.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Histogram

from chassis.call import Call, Idempotency
from chassis.errors import (
    CarillonError,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    PermissionDenied,
    Reason,
    Unauthenticated,
    to_status,
)
from chassis.health import Health
from chassis.idempotency import MAX_KEY_LENGTH, Replay
from chassis.measuring import BUCKETS, Method
from chassis.stopping import GRACE_SECONDS
from chassis.telemetry import span
from chassis.tls import Tls
from chassis.tokens import TokenVerifier

log = structlog.get_logger()

CALLS = Counter("carillon_grpc_server_calls_total", "Calls answered", ["method", "code"])
SECONDS = Histogram("carillon_grpc_server_seconds", "Time to answer a call", ["method"], buckets=BUCKETS)

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# For a caller that sets none.
DEFAULT_DEADLINE_SECONDS = 30.0
# Kept back for the answer's way home (Boulder's grpc/interceptors.go does the same).
RESERVED_SECONDS = 0.02
# Long for news on a connection that calls come by, and short for a stop.
QUIET_SECONDS = 0.1
LEAVING_SECONDS = 3.0
# Of a stream that is refused before its end.
PASSED_BYTES = 32 << 20
PASSED_SECONDS = 5.0
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # So that clients find new replicas; calls under way, uploads and audiences, then have the time of the longest.
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 3_600_000),
    # Clients look after a connection that is quiet (see grpc_client): by itself a server takes that for an attack.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
]

AUTHORIZATION = "authorization"
REQUEST_ID = "x-request-id"
IDEMPOTENCY_KEY = "idempotency-key"
FINGERPRINT = "idempotency-fingerprint-bin"
REPLAYED = "idempotent-replayed"
STATUS_DETAILS = "grpc-status-details-bin"

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]
F = TypeVar("F", bound=Callable[..., Any])


def rpc(*, admits: set[str]) -> Callable[[F], F]:
    """Marks a servicer method with the services that may call it."""

    def mark(method: F) -> F:
        method.admits = frozenset(admits)  # type: ignore[attr-defined]
        return method

    return mark


class Server:
    def __init__(self, bind: str, tokens: TokenVerifier, *, tls: Tls | None = None) -> None:
        """bind: host:port; port 0 takes a free one, see `port`. tls: clients without a certificate are not let in."""
        self._bind = bind
        self._tokens = tokens
        self._tls = tls
        self._server = grpc.aio.server(options=OPTIONS)
        self._arrivals = Arrivals()
        self._health: Health | None = None
        self._names: list[str] = []
        self.port = 0

    def add(self, descriptor: ServiceDescriptor, servicer: object) -> None:
        """Raises AttributeError or TypeError where a method is missing or admits nobody."""
        handlers = {}
        for method in descriptor.methods:
            function = getattr(servicer, method.name)
            if not getattr(function, "admits", None):
                raise TypeError(f"{method.full_name} does not say whom it admits: decorate it with @rpc")
            handlers[method.name] = Endpoint(method, function, self._tokens, self._arrivals).handler()
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(descriptor.full_name, handlers),))
        self._names.append(descriptor.full_name)

    async def start(self) -> None:
        self._health = Health(self._names)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)  # type: ignore[no-untyped-call]
        names = [*self._names, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, self._server)  # type: ignore[no-untyped-call]
        if self._tls is None:
            self.port = self._server.add_insecure_port(self._bind)
        else:
            self.port = self._server.add_secure_port(self._bind, self._tls.server_credentials())
        await self._server.start()

    async def stop(self) -> None:
        """Calls under way end, in GRACE_SECONDS at most."""
        if self._health is not None:
            self._health.leave()
            if self._health.watched:
                await self._arrivals.cease()
            self._health.close()
        await self._server.stop(GRACE_SECONDS)


class Arrivals:
    """Of calls."""

    def __init__(self) -> None:
        self.count = 0

    async def cease(self) -> None:
        """Returns when no call came for a while, or after LEAVING_SECONDS."""
        try:
            async with asyncio.timeout(LEAVING_SECONDS):
                before = -1
                while before != self.count:
                    before = self.count
                    await asyncio.sleep(QUIET_SECONDS)
        except TimeoutError:
            log.warning("grpc.calls_keep_coming")


class Endpoint:
    """One method, wrapped."""

    def __init__(
        self, method: MethodDescriptor, function: Callable[..., Any], tokens: TokenVerifier, arrivals: "Arrivals"
    ) -> None:
        service = method.containing_service
        self._name = f"/{service.full_name}/{method.name}"
        self._measured = Method(CALLS, SECONDS, self._name)
        self._function = function
        self._admits: frozenset[str] = function.admits  # type: ignore[attr-defined]
        self._tokens = tokens
        self._arrivals = arrivals
        self._method = method
        self._request_class = GetMessageClass(method.input_type)
        self._response_class = GetMessageClass(method.output_type)

    def handler(self) -> "grpc.RpcMethodHandler[Any, Any]":
        kinds = {
            (False, False): (grpc.unary_unary_rpc_method_handler, self._unary),
            (True, False): (grpc.stream_unary_rpc_method_handler, self._stream_in),
            (False, True): (grpc.unary_stream_rpc_method_handler, self._stream_out),
        }
        make, behaviour = kinds[(self._method.client_streaming, self._method.server_streaming)]
        return make(
            behaviour,  # type: ignore[arg-type]
            request_deserializer=self._request_class.FromString,
            response_serializer=self._response_class.SerializeToString,
        )

    async def _unary(self, request: Message, context: "Context") -> Message:
        return await self._answer(request, context, fingerprint=lambda: request.SerializeToString(deterministic=True))

    async def _stream_in(self, requests: AsyncIterator[Message], context: "Context") -> Message:
        # The stream is not read twice: the caller sends the fingerprint, see the gateway's uploads.
        return await self._answer(requests, context, fingerprint=None)

    async def _answer(self, request: object, context: "Context", *, fingerprint: Callable[[], bytes] | None) -> Message:
        self._arrivals.count += 1
        metadata = read_metadata(context)
        with (
            span(self._name, SpanKind.SERVER, follows=metadata) as opened,
            self._measured.call(opened) as measured,
        ):
            try:
                call = self._call(metadata, fingerprint)
                async with asyncio.timeout(time_left(context)):
                    response: Message = await self._function(call, request)
                measured.code = "OK"
                return response
            except Replay as replay:
                measured.code = "OK"
                context.set_trailing_metadata(((REPLAYED, "true"),))
                return self._response_class.FromString(replay.response)
            except Exception as error:
                refusal = self._refusal(error)
                measured.code = refusal.status.name
                if isinstance(request, AsyncIterator):
                    await pass_by(request)
                await refuse(refusal, context)
                raise

    async def _stream_out(self, request: Message, context: "Context") -> AsyncIterator[Message]:
        self._arrivals.count += 1
        metadata = read_metadata(context)
        with (
            span(self._name, SpanKind.SERVER, follows=metadata) as opened,
            self._measured.call(opened) as measured,
        ):
            try:
                call = self._call(metadata, None)
                # grpc itself ends the stream at its deadline.
                async for response in self._function(call, request):
                    yield response
                measured.code = "OK"
            except Exception as error:
                refusal = self._refusal(error)
                measured.code = refusal.status.name
                await refuse(refusal, context)

    def _call(self, metadata: dict[str, str | bytes], fingerprint: Callable[[], bytes] | None) -> Call:
        scheme, _, token = str(metadata.get(AUTHORIZATION, "")).partition(" ")
        if scheme != "Bearer":
            raise Unauthenticated(Reason.UNAUTHENTICATED, "The call carries no token.")
        claims = self._tokens.verify(token)
        if claims.issuer not in self._admits:
            raise PermissionDenied(Reason.PERMISSION_DENIED, f"{claims.issuer} may not call {self._name}.")
        request_id = str(metadata.get(REQUEST_ID, ""))
        structlog.contextvars.bind_contextvars(request_id=request_id)
        return Call(
            account=claims.account,
            issuer=claims.issuer,
            scopes=claims.scopes,
            request_id=request_id,
            idempotency=self._idempotency(metadata, fingerprint),
        )

    def _idempotency(
        self, metadata: dict[str, str | bytes], fingerprint: Callable[[], bytes] | None
    ) -> Idempotency | None:
        key = str(metadata.get(IDEMPOTENCY_KEY, ""))
        if not key:
            return None
        if len(key) > MAX_KEY_LENGTH:
            raise InvalidArgument(
                Reason.VALIDATION_FAILED, f"An Idempotency-Key has at most {MAX_KEY_LENGTH} characters."
            )
        given = metadata.get(FINGERPRINT)
        if isinstance(given, bytes):
            return Idempotency(key, self._name, given)
        raw = fingerprint() if fingerprint is not None else b""
        return Idempotency(key, self._name, hashlib.sha256(raw).digest())

    def _refusal(self, error: Exception) -> CarillonError:
        """What the caller is told. One that is not ours is logged, and says nothing of the inside."""
        if isinstance(error, TimeoutError):
            return DeadlineExceeded(Reason.DEADLINE_EXCEEDED, "The answer was not ready in time.")
        if isinstance(error, CarillonError):
            return error
        log.exception("rpc.failed", method=self._name)
        return Internal(Reason.INTERNAL, "Internal error.")


async def pass_by(requests: AsyncIterator[Message]) -> None:
    """What is still sent, up to PASSED_BYTES and for PASSED_SECONDS.

    gRPC's client for asyncio (1.85) may lose what a call ended with, and tell of an internal error, where the end comes
    while it sends.
    """
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PASSED_SECONDS):
            async for request in requests:
                size += request.ByteSize()
                if size >= PASSED_BYTES:
                    return


async def refuse(error: CarillonError, context: "Context") -> None:
    """Ends the call: raises grpc's own exception."""
    context.set_trailing_metadata(((STATUS_DETAILS, to_status(error).SerializeToString()),))
    await context.abort(error.status, error.detail)


def read_metadata(context: "Context") -> dict[str, Any]:
    return dict(context.invocation_metadata() or ())


def time_left(context: "Context") -> float:
    """Seconds for the work. Raises DeadlineExceeded where none are left."""
    remaining = context.time_remaining()
    if remaining is None:
        return DEFAULT_DEADLINE_SECONDS
    if remaining <= RESERVED_SECONDS:
        raise DeadlineExceeded(Reason.DEADLINE_EXCEEDED, "The call came too late to be answered.")
    return remaining - RESERVED_SECONDS
