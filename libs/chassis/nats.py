"""The connection to NATS: streams, pokes, and headers of CloudEvents.

JetStream is transport that may be wiped at any time: every process declares the streams when it starts, and
again when it finds them gone.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Self

import nats as nats_py
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.transport import TcpTransport
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError
from prometheus_client import Counter, Gauge

from chassis import tls
from chassis.config import BrokerSettings

log = structlog.get_logger()

CONNECTED = Gauge("carillon_nats_connected", "1 while the connection stands", ["client"])
DISCONNECTS = Counter("carillon_nats_disconnects_total", "Connections that were lost", ["client"])

EVENTS = "EVENTS"
DEAD = "DEAD"
HOUR = 3600.0
CLOSED_SECONDS = 1.0
KEPT = timedelta(hours=72)
# A publish that timed out may have arrived; within this window its repetition is dropped by its id.
DUPLICATE_SECONDS = HOUR / 2


def streams(kept: timedelta, *, replicas: int = 1) -> list[StreamConfig]:
    """kept: how long a message lies in a stream. Dead letters carry what the event did, and stay no longer.

    replicas: how many of the broker's servers store it.
    """
    seconds = kept.total_seconds()
    return [
        StreamConfig(
            name=EVENTS,
            subjects=["events.>"],
            retention=RetentionPolicy.LIMITS,
            num_replicas=replicas,
            storage=StorageType.FILE,
            max_age=seconds,
            duplicate_window=min(DUPLICATE_SECONDS, seconds),
        ),
        StreamConfig(
            name=DEAD,
            subjects=["dead.>"],
            retention=RetentionPolicy.LIMITS,
            num_replicas=replicas,
            storage=StorageType.FILE,
            max_age=seconds,
            duplicate_window=min(DUPLICATE_SECONDS, seconds),
        ),
    ]


# Wake-ups without content: losing one costs a poll interval.
POKE = "poke."
# Not more often: who is woken looks for all that there is.
POKE_SECONDS = 0.01

# What comes in a stream is taken together and not one by one: each time costs a transaction, whatever is in it. So who
# took something rests before the next time, the longer the more it was. What comes alone is taken at once.
REST_SECONDS, LONGEST_REST_SECONDS = 0.005, 0.1


def rest(taken: int) -> float:
    """Seconds from the begin of one time to the next. taken: how many events that time."""
    return min(taken * REST_SECONDS, LONGEST_REST_SECONDS)


Callback = Callable[[Msg], Awaitable[None]]


class Transport(TcpTransport):
    """nats-py waits for the end of what it closes, before it connects again. A connection whose TLS handshake failed
    never says that it ended, and one whose server vanished says so after many minutes."""

    def __bool__(self) -> bool:
        """nats-py makes one of its own where there is none that is connected."""
        return True

    async def wait_closed(self) -> None:
        # Not asyncio.timeout: whoever closes may be in the middle of being cancelled (see chassis.consumer).
        try:
            await asyncio.wait_for(super().wait_closed(), CLOSED_SECONDS)  # type: ignore[no-untyped-call]
        except TimeoutError:
            if self._io_writer is not None:
                self._io_writer.transport.abort()


class Connection(Client):
    """nats-py's own talks in the clear, passwords first, where a server of a tls:// URL offers no TLS; it would keep
    its context, with certificates as they once were, for good; and it ends its reading for good where the server
    answers a PING that nobody waits for any longer, as it does when it comes back from a standstill."""

    def __init__(self, context: Callable[[], ssl.SSLContext] | None) -> None:
        super().__init__()
        self._transport = Transport()  # type: ignore[no-untyped-call]
        self._make_context = context or ssl.create_default_context

    @property
    def ssl_context(self) -> ssl.SSLContext:
        return self._make_context()

    async def _process_pong(self) -> None:
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        server = self._current_server
        if initial_connection and server is not None and server.uri.scheme == "tls" and not info.get("tls_required"):
            raise nats_py.errors.Error("the URL says tls:// and the server offers no TLS")
        await super()._process_info(info, initial_connection)


class Nats:
    def __init__(
        self,
        url: str,
        name: str,
        *,
        kept: timedelta = KEPT,
        replicas: int = 1,
        wait: bool = True,
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """`start` connects. kept, replicas: see streams. context: makes that of each connection, where the server
        has TLS.

        wait=False: for who serves requests, which needs no broker; `start` returns at once.
        Until the connection is there `poke` does nothing, and subscriptions are kept to be made then.
        """
        self.client = Connection(context)
        self._url = url
        self._name = name
        self._streams = streams(kept, replicas=replicas)
        self._wait = wait
        self.jetstream: JetStreamContext = self.client.jetstream(timeout=5.0)
        self._connecting: asyncio.Task[None] | None = None
        self._connected = self._stopping = False
        self._kept: list[tuple[str, Callback]] = []
        CONNECTED.labels(name).set_function(lambda: self.client.is_connected)
        self._disconnects = DISCONNECTS.labels(name)

    @classmethod
    def of(cls, settings: BrokerSettings, name: str, *, wait: bool = True) -> Self:
        """A process's own. wait: see above."""
        return cls(
            settings.nats_url,
            name,
            kept=settings.retention,
            replicas=settings.stream_replicas,
            wait=wait,
            context=tls.to_others(settings.nats_ca, settings.tls_files),
        )

    async def start(self) -> None:
        """Keeps trying for ever."""
        self._connecting = asyncio.create_task(self._connect(), name="nats-connect")
        if self._wait:
            await self._connecting

    async def _connect(self) -> None:
        async def on_error(error: Exception) -> None:
            log.warning("nats.error", error=type(error).__name__)

        async def on_disconnect() -> None:
            self._disconnects.inc()
            if not self._stopping:
                log.warning("nats.disconnected")

        await self.client.connect(
            servers=self._url.split(","),
            name=self._name,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,  # type: ignore[arg-type]  # any number of seconds
            connect_timeout=2,
            error_cb=on_error,
            disconnected_cb=on_disconnect,
            pending_size=32 * 1024 * 1024,
        )
        self._connected = True
        for subject, callback in self._kept:
            await self.client.subscribe(subject, cb=callback)

    async def stop(self) -> None:
        self._stopping = True
        if not self.client.is_connected:
            if self._connecting is not None:
                self._connecting.cancel()
            await self.client.close()
            return
        try:
            await asyncio.wait_for(self.client.drain(), timeout=3)
        except (TimeoutError, nats_py.errors.Error):
            await self.client.close()

    async def ping(self) -> None:
        """Raises ConnectionError."""
        if not self.client.is_connected:
            raise ConnectionError("NATS is not connected")

    async def declare_streams(self) -> None:
        for config in self._streams:
            assert config.name is not None
            try:
                present = (await self.jetstream.stream_info(config.name)).config
                # How many replicas there are is the operator's to say, once they are there.
                await self.jetstream.update_stream(config.evolve(num_replicas=present.num_replicas))
            except NotFoundError:
                await self.jetstream.add_stream(config)

    async def poke(self, topic: str) -> None:
        """Wake whoever waits for topic, on any machine. Best effort: listeners poll besides."""
        if self.client.is_connected:
            await self.client.publish(POKE + topic)

    async def on_poke(self, topic: str, event: asyncio.Event) -> None:
        async def wake(_: Msg) -> None:
            event.set()

        await self.subscribe(POKE + topic, wake)

    async def subscribe(self, subject: str, callback: Callback) -> None:
        # What the client is told before its first connection, it forgets.
        if self._connected:
            await self.client.subscribe(subject, cb=callback)
        else:
            self._kept.append((subject, callback))


class Poker:
    """Pokes a topic at once, and then at most every POKE_SECONDS, however often it is asked: `db.on_events = poker`."""

    def __init__(self, nats: Nats, topic: str) -> None:
        self._nats = nats
        self._topic = topic
        self._running: asyncio.Task[None] | None = None
        self._again = False

    def __call__(self) -> None:
        if self._running is not None and not self._running.done():
            self._again = True
            return
        self._running = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while True:
            self._again = False
            try:
                await self._nats.poke(self._topic)
            except nats_py.errors.Error as error:
                log.debug("poke.failed", topic=self._topic, error=type(error).__name__)
            await asyncio.sleep(POKE_SECONDS)
            if not self._again:
                return
