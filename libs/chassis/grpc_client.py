"""A client of one service: a signed token for the account, a deadline and the trace context on every call.

Failures come back as the chassis.errors that the server raised. A call is repeated where that does no harm: what no
server has seen, which gRPC does by itself, and once, at once, where `safe` says so, what broke off.

Servers come and go. Calls go to those whose health says that they serve (see grpc_server), in turn; the name is looked
up again whenever a connection ends; a server that vanished without a word is noticed by its silence.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import cache
from typing import Any, Generic, Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Histogram

from chassis.call import Outgoing
from chassis.errors import Unavailable, from_rpc_error
from chassis.grpc_server import AUTHORIZATION, FINGERPRINT, IDEMPOTENCY_KEY, MAX_MESSAGE_BYTES, REPLAYED, REQUEST_ID
from chassis.health import WHOLE
from chassis.measuring import BUCKETS, Method
from chassis.telemetry import W3C, span
from chassis.tls import Tls
from chassis.tokens import TokenSigner

CALLS = Counter("carillon_grpc_client_calls_total", "Calls made that came to an end", ["method", "code"])
SECONDS = Histogram(
    "carillon_grpc_client_seconds", "From a call to its answer, with the way there", ["method"], buckets=BUCKETS
)

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class StubClass(Protocol):
    def __call__(self, channel: grpc.aio.Channel, /) -> Any: ...


Stub = TypeVar("Stub")

# Every call goes to the next server in turn, of those that say that they serve. No retryPolicy and no timeout here:
# a call says itself what it bears.
SERVICE_CONFIG = {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": WHOLE}}
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    # A restarted server is found again quickly.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # 30 s by default, in which a rollout replaces every server of a name.
    ("grpc.dns_min_time_between_resolutions_ms", 200),
    # A machine that is gone answers nothing: calls to it end after so long rather than at their deadlines.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
]
# Of a channel that is left: how long somebody may still hold its stub for a call, and what a call may take.
BEGINNING_SECONDS = 30.0
LONGEST_SECONDS = 3600.0


class Client(Generic[Stub]):
    def __init__(
        self, target: str, stub: type[Stub], *, audience: str, signer: TokenSigner, tls: Tls | None = None
    ) -> None:
        """target: as in gRPC, `dns:///contacts:7000`; with tls, the server's certificate is of that name.
        audience: the service called, as its tokens name it."""
        self._target = target
        self._stub_class = stub
        self._audience = audience
        self._signer = signer
        self._tls = tls
        self._closing: set[asyncio.Task[None]] = set()
        self._open()

    def _open(self) -> None:
        self._identity = None if self._tls is None else self._tls.identity
        if self._tls is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(self._target, self._tls.channel_credentials(), options=OPTIONS)
        # Typed by mypy-protobuf as the stub over an asynchronous channel.
        self._stub: Stub = self._stub_class(self._channel)  # type: ignore[call-arg]

    @property
    def stub(self) -> Stub:
        """For a call that follows at once: a renewed certificate takes a new channel."""
        if self._tls is not None and self._tls.identity is not self._identity:
            closing = asyncio.create_task(close_later(self._channel))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            self._open()
        return self._stub

    async def start(self) -> None:
        """Nothing to do: the channel connects with the first call."""

    async def stop(self) -> None:
        for closing in self._closing:
            closing.cancel()
        await self._channel.close()

    async def unary(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        call: Outgoing,
        timeout: float,
        safe: bool = False,
    ) -> Response:
        """timeout: seconds. safe: may be repeated, a read. Raises chassis.errors."""
        response, _ = await self.unary_replayable(method, request, call=call, timeout=timeout, safe=safe)
        return response

    async def unary_replayable(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        call: Outgoing,
        timeout: float,
        safe: bool = False,
    ) -> tuple[Response, bool]:
        """The response, and whether it is the replay of an earlier one."""
        try:
            return await self._unary(method, request, call, timeout)
        except Unavailable:
            if not safe:
                raise
            return await self._unary(method, request, call, timeout)

    async def _unary(self, method: Any, request: Message, call: Outgoing, timeout: float) -> tuple[Any, bool]:
        called = name(method)
        with span(called, SpanKind.CLIENT) as opened, measured(called).call(opened) as ending:
            rpc = method(request, timeout=timeout, metadata=self._metadata(call), wait_for_ready=safe_wait(timeout))
            try:
                response = await rpc
            except grpc.aio.AioRpcError as error:
                ending.code = error.code().name
                raise from_rpc_error(error) from None
            ending.code = "OK"
            return response, await replayed(rpc, call)

    async def stream_in(
        self,
        method: "grpc.aio.StreamUnaryMultiCallable[Request, Response]",
        requests: AsyncIterator[Request],
        *,
        call: Outgoing,
        timeout: float,
    ) -> tuple[Response, bool]:
        """Sends a stream; the response, and whether it is a replay."""
        called = name(method)
        with span(called, SpanKind.CLIENT) as opened, measured(called).call(opened) as ending:
            rpc = method(requests, timeout=timeout, metadata=self._metadata(call), wait_for_ready=safe_wait(timeout))
            try:
                response = await rpc
            except grpc.aio.AioRpcError as error:
                ending.code = error.code().name
                raise from_rpc_error(error) from None
            ending.code = "OK"
            return response, await replayed(rpc, call)

    async def stream_out(
        self,
        method: "grpc.aio.UnaryStreamMultiCallable[Request, Response]",
        request: Request,
        *,
        call: Outgoing,
        timeout: float,
    ) -> AsyncIterator[Response]:
        called = name(method)
        with span(called, SpanKind.CLIENT):
            rpc = method(request, timeout=timeout, metadata=self._metadata(call), wait_for_ready=safe_wait(timeout))
        # Its own span has ended by now; the one that it is part of is recorded until the stream's end.
        with measured(called).call(trace.get_current_span()) as ending:
            try:
                async for response in rpc:
                    yield response
                ending.code = "OK"
            except grpc.aio.AioRpcError as error:
                ending.code = error.code().name
                raise from_rpc_error(error) from None
            finally:
                rpc.cancel()

    def _metadata(self, call: Outgoing) -> tuple[tuple[str, str | bytes], ...]:
        token = self._signer.token(call.account, self._audience, scopes=call.scopes)
        carrier = {AUTHORIZATION: f"Bearer {token}", REQUEST_ID: call.request_id}
        W3C.inject(carrier)
        metadata: list[tuple[str, str | bytes]] = list(carrier.items())
        if call.idempotency is not None:
            key, fingerprint = call.idempotency
            metadata += [(IDEMPOTENCY_KEY, key), (FINGERPRINT, fingerprint)]
        return tuple(metadata)


async def close_later(channel: grpc.aio.Channel) -> None:
    """Once nobody begins a call on it any more; those under way end."""
    try:
        await asyncio.sleep(BEGINNING_SECONDS)
        await channel.close(LONGEST_SECONDS)
    finally:
        await channel.close()


def name(method: Any) -> str:
    raw = method._method  # the multi-callable has no public name
    return raw.decode() if isinstance(raw, bytes) else str(raw)


@cache
def measured(method: str) -> Method:
    return Method(CALLS, SECONDS, method)


def safe_wait(timeout: float) -> bool:
    """Wait for a server that is just restarting, unless the caller is in a great hurry."""
    return timeout >= 1.0


async def replayed(rpc: Any, call: Outgoing) -> bool:
    if call.idempotency is None:
        return False
    return any(key == REPLAYED for key, _ in await rpc.trailing_metadata() or ())
