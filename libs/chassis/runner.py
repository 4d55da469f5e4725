"""Runs a process: starts its components in order, runs its loops, answers probes, stops in reverse on SIGTERM.

Probes are answered first: a component may wait in its `start` for what it needs, as long as that takes, and readiness
says what is missing. `build` therefore waits for nothing.
The order of a stop: readiness turns false, and the process serves on for DRAIN_SECONDS, until everybody has heard of
it (`on_leaving` is for who can help to spread the news); loops are cancelled, which begin nothing new, end what they
are at or give it back; components stop in reverse order, so that servers end their calls before the database is
closed; exit 0.
A loop that raises ends the process with 1: the supervisor or Kubernetes starts it anew.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

import structlog
import uvloop
from aiohttp import web
from prometheus_client import REGISTRY, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from chassis import collector, telemetry
from chassis.config import host_and_port
from chassis.stopping import DRAIN_SECONDS

log = structlog.get_logger()

LOOP_LAG = Histogram(
    "carillon_event_loop_lag_seconds",
    "How late the event loop woke a timer, looked at four times a second",
    buckets=[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
)
LAG_INTERVAL_SECONDS = 0.25
READY_SECONDS = 2.0
STARTING, RUNNING, STOPPING = "starting", "running", "stopping"


class Component(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


Loop = Callable[[], Coroutine[Any, Any, None]]
ReadyCheck = Callable[[], Awaitable[None]]


class Process:
    """What a composition root fills: see `run`."""

    def __init__(self, name: str, ops_bind: str) -> None:
        self.name = name
        self._ops_bind = ops_bind
        self._components: list[Component] = []
        self._loops: list[tuple[str, Loop]] = []
        self._checks: dict[str, ReadyCheck] = {}
        self._leaving: list[Callable[[], None]] = []
        self._stopping = asyncio.Event()
        self._phase = STARTING
        # How seldom it looks for circles of references.
        self.collector: collector.Thresholds = collector.USUAL

    def add(self, component: Component) -> None:
        self._components.append(component)

    def loop(self, name: str, function: Loop) -> None:
        """A coroutine function that runs until it is cancelled."""
        self._loops.append((name, function))

    def ready_check(self, name: str, function: ReadyCheck) -> None:
        """Raises when the process should get no traffic."""
        self._checks[name] = function

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop; it may still be serving."""
        return self._phase == STOPPING

    def on_leaving(self, function: Callable[[], None]) -> None:
        """Called when the process is told to stop, before anything stops."""
        self._leaving.append(function)

    async def run(self) -> int:
        """Returns the exit code."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._stopping.set)
        started: list[Component] = []
        try:
            if not await self._unless_stopped(self._start(started)):
                return 0
            collector.spare(self.collector)
            self._phase = RUNNING
            log.info("process.started", name=self.name)
            return await self._until_stopped()
        finally:
            self._phase = STOPPING
            for component in reversed(started):
                try:
                    await component.stop()
                except Exception:
                    log.exception("process.stop_failed", component=type(component).__name__)
            telemetry.shut_down()
            log.info("process.stopped", name=self.name)

    async def _start(self, started: list[Component]) -> None:
        for component in [Ops(self, self._ops_bind), *self._components]:
            await component.start()
            started.append(component)

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it came to its end, before a stop did. Raises what it raises."""
        working = asyncio.create_task(work, name="start")
        stopping = asyncio.create_task(self._stopping.wait(), name="signal")
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if working.done():
            working.result()
            return True
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return False

    async def _until_stopped(self) -> int:
        tasks = [asyncio.create_task(function(), name=name) for name, function in self._loops]
        stopping = asyncio.create_task(self._stopping.wait(), name="signal")
        lag = asyncio.create_task(watch_lag(), name="lag")
        try:
            done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._leave()
            for task in [stopping, lag, *tasks]:
                task.cancel()
            await asyncio.gather(stopping, lag, *tasks, return_exceptions=True)
        return report([task for task in tasks if task in done])

    async def _leave(self) -> None:
        self._phase = STOPPING
        log.info("process.leaving", name=self.name)
        for function in self._leaving:
            function()
        await asyncio.sleep(DRAIN_SECONDS)

    async def problems(self) -> dict[str, str]:
        """Why the process is not ready; empty when it is."""
        if self._phase == STOPPING:
            return {"process": self._phase}
        found = {} if self._phase == RUNNING else {"process": self._phase}
        for name, check in self._checks.items():
            try:
                async with asyncio.timeout(READY_SECONDS):
                    await check()
            except Exception as error:
                found[name] = type(error).__name__
        return found


class Ops:
    """/healthz (alive: touches nothing), /readyz (may get traffic) and /metrics."""

    def __init__(self, process: Process, bind: str) -> None:
        self._process = process
        self._bind = bind
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        # A third of all series, for nobody.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    async def start(self) -> None:
        await self._runner.setup()
        host, port = host_and_port(self._bind)
        await web.TCPSite(self._runner, host, port).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, _: web.Request) -> web.Response:
        problems = await self._process.problems()
        return web.json_response({"ready": not problems, "problems": problems}, status=503 if problems else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        """In OpenMetrics for who accepts it: only there do histograms name traces."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        # In a thread: thousands of lines are milliseconds that no call should wait.
        body = await asyncio.to_thread(encode, REGISTRY)
        return web.Response(body=body, headers={"Content-Type": content_type})


def report(ended: Sequence[asyncio.Task[None]]) -> int:
    """Log loops that ended by themselves; the exit code."""
    for task in ended:
        error = task.exception()
        log.critical("process.loop_ended", loop=task.get_name(), exc_info=error)
    return 1 if ended else 0


async def watch_lag() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_INTERVAL_SECONDS
        await asyncio.sleep(LAG_INTERVAL_SECONDS)
        LOOP_LAG.observe(max(0.0, loop.time() - due))


def run(name: str, build: Callable[[Process], Awaitable[None]], *, ops_bind: str) -> None:
    """Build the process (`build` adds components, loops and checks to it), run it, exit. Never returns."""

    async def main() -> int:
        process = Process(name, ops_bind)
        await build(process)
        return await process.run()

    sys.exit(uvloop.run(main()))
