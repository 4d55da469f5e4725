"""The components as Deployments: each pod a process with a loopback address of its own, replaced as Kubernetes does.

maxUnavailable 0, maxSurge 1: the new pod is started, and gets traffic once it is ready; then the old one is told to
stop. As in a cluster both happen at once, the signal and the news that the pod gets no more traffic, and the news takes
a while to get round: in that time the old pod has to go on serving.
"""

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from random import SystemRandom
from typing import BinaryIO

import aiohttp

from deploy.local import processes
from deploy.local.processes import Spec
from tests.certificates import Authority
from tests.chaos.history import History
from tests.chaos.rolling.endpoints import DOMAIN, GRPC, HTTP, OPS, Endpoints
from tests.throwaway_stack import ThrowawayStack

SERVING, WORKING = processes.SERVING, processes.WORKING
# How long the news of a pod that is to stop takes, and how long the pod serves on: the chart's 5 s, and less.
NEWS_SECONDS = 0.5
DRAIN_SECONDS = 1.0
LOOK_SECONDS = 0.1
READY_SECONDS = 60.0
# Kubernetes would kill it then. The chart gives it longer.
END_SECONDS = 30.0
EXPIRES = "carillon_tls_certificate_expires_timestamp_seconds"
DAY = 24 * 3600.0


class Stuck(Exception):
    """A pod did not become ready, or did not end."""


@dataclass(slots=True)
class Pod:
    component: str
    address: str
    process: asyncio.subprocess.Process
    log: BinaryIO


@dataclass(slots=True)
class Cluster:
    stack: ThrowawayStack
    endpoints: Endpoints
    history: History
    specs: dict[str, Spec]
    # Of the processes beside what their specs say.
    settings: dict[str, str]
    network: str
    http: aiohttp.ClientSession
    authority: Authority | None
    running: dict[str, list[Pod]] = field(default_factory=dict)
    ended_badly: list[str] = field(default_factory=list)
    _made: int = 0
    _days: int = 1

    async def deploy(self, *, replicas: int) -> None:
        """All of them, in no order: any process may be started before what it needs."""
        names = [name for name in (*SERVING, *WORKING) for _ in range(replicas)]
        await asyncio.gather(*(self._add(name) for name in names))

    async def roll(self, components: Sequence[str]) -> None:
        """Every pod of each is replaced, one after the other. A new pod is started while its predecessor's ends."""
        olds = [pod for name in components for pod in self.running[name]]
        new = asyncio.create_task(self._add(olds[0].component))
        try:
            for old, following in zip_longest(olds, olds[1:]):
                await new
                began = time.monotonic()
                if following is not None:
                    new = asyncio.create_task(self._add(following.component))
                await self._end(old)
                self.history.add("replaced", name=old.component, ended_seconds=round(time.monotonic() - began, 2))
        finally:
            new.cancel()
            await asyncio.gather(new, return_exceptions=True)

    def renew(self) -> None:
        """Every component's certificate, in its files."""
        assert self.authority is not None
        self._days += 1
        for component in (*SERVING, *WORKING):
            issued = self.authority.issue([f"{component}.{DOMAIN}"], days=self._days)
            issued.write(self._certificates(component))
        self.history.add("renewed certificates")

    async def have_renewed(self) -> bool:
        """Whether every process goes by the newest certificates, as its metrics say."""
        asked = [self._renewed(pod) for pods in self.running.values() for pod in pods]
        return all(await asyncio.gather(*asked))

    async def stop(self) -> None:
        for pods in self.running.values():
            for pod in pods:
                pod.process.kill()
                await pod.process.wait()
                pod.log.close()

    async def _add(self, component: str) -> None:
        pod = await self._start(component)
        self.running.setdefault(component, []).append(pod)
        deadline = time.monotonic() + READY_SECONDS
        while not await self._is_ready(pod):
            if pod.process.returncode is not None or time.monotonic() > deadline:
                raise Stuck(f"{component} did not become ready; see {pod.log.name}")
            await asyncio.sleep(LOOK_SECONDS)
        self.endpoints.add(component, pod.address)

    async def _start(self, component: str) -> Pod:
        self._made += 1
        address = f"{self.network}.{self._made}"
        binds = {"OPS": OPS, "GRPC": GRPC, "HTTP": HTTP}
        own = {f"CARILLON_{name}_BIND": f"{address}:{port}" for name, port in binds.items()}
        if self.authority is not None:
            folder = self._certificates(component)
            files = {"CERT": "tls.crt", "KEY": "tls.key", "CA": "ca.crt"}
            own |= {f"CARILLON_TLS_{name}": str(folder / file) for name, file in files.items()}
        spec = self.specs[component]
        log = self.stack.log(f"{component}-{self._made}").open("wb")
        process = await asyncio.create_subprocess_exec(
            *spec.command,
            cwd=spec.folder,
            env=spec.env | self.settings | own,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        return Pod(component, address, process, log)

    async def _is_ready(self, pod: Pod) -> bool:
        try:
            async with self.http.get(f"http://{pod.address}:{OPS}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def _certificates(self, component: str) -> Path:
        return self.stack.home.folder / "run" / "tls" / component

    async def _renewed(self, pod: Pod) -> bool:
        async with self.http.get(f"http://{pod.address}:{OPS}/metrics") as answer:
            (ends,) = re.findall(rf'^{EXPIRES}{{file="cert"}} (.+)$', await answer.text(), re.MULTILINE)
        return float(ends) > time.time() + (self._days - 0.5) * DAY

    async def _end(self, pod: Pod) -> None:
        pod.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(NEWS_SECONDS)
        self.endpoints.remove(pod.component, pod.address)
        try:
            async with asyncio.timeout(END_SECONDS):
                code = await pod.process.wait()
        except TimeoutError:
            raise Stuck(f"{pod.component} did not end; see {pod.log.name}") from None
        if code != 0:
            self.ended_badly.append(f"{pod.component} with {code}")
        self.running[pod.component].remove(pod)
        pod.log.close()


@asynccontextmanager
async def cluster(
    stack: ThrowawayStack, endpoints: Endpoints, history: History, *, names_port: int, tls: bool
) -> AsyncIterator[Cluster]:
    """Of a stack of which only Postgres, NATS and the carrier run. tls: between the services."""
    specs = processes.specs(stack.home, stack.known)
    targets = {
        f"CARILLON_{name.upper()}_TARGET": f"dns://127.0.0.1:{names_port}/{name}.{DOMAIN}:{GRPC}" for name in SERVING
    }
    direct = f"{specs['gateway'].env['no_proxy']},.{DOMAIN}"
    settings = targets | {"CARILLON_DRAIN_SECONDS": str(DRAIN_SECONDS), "no_proxy": direct, "NO_PROXY": direct}
    random = SystemRandom()
    network = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        made = Cluster(stack, endpoints, history, specs, settings, network, http, Authority() if tls else None)
        if tls:
            made.renew()
        try:
            yield made
        finally:
            await made.stop()
