"""granian or uvicorn: a bare route, and one that makes a gRPC call which reads Postgres."""

import asyncio
import importlib.util

import aiohttp
import uvloop

from tests.bench.decisions import child, scratch
from tests.bench.measure import Load, closed_loop, median, percentile
from tests.bench.record import Outcome

SUBJECT = "tests.bench.decisions.asgi_subject"
ROUTES = {"bare": "/bare", "gRPC + Postgres": "/contacts/cnt_01h455vb4pex5vsknk084sn02q"}
CLIENTS = 32
SECONDS = 2.5
ROUNDS = 5


async def wait_until_up(http: aiohttp.ClientSession, port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                async with http.get(f"http://127.0.0.1:{port}/bare") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


async def load(http: aiohttp.ClientSession, url: str, seconds: float) -> Load:
    async def call(_: int) -> None:
        async with http.get(url) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{url} answered {answer.status}")

    return await closed_loop(call, clients=CLIENTS, seconds=seconds)


async def measure(servers: dict[str, child.Child], rounds: int) -> dict[str, dict[str, list[float]]]:
    """By "server, route": requests a second, ms at p99, CPU microseconds of the server; one figure a round."""
    found: dict[str, dict[str, list[float]]] = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS)) as http:
        for server in servers.values():
            await wait_until_up(http, server.port)
        for round_number in range(-1, rounds):
            for route, path in ROUTES.items():
                for name, server in servers.items():
                    before = server.cpu_seconds()
                    seconds = SECONDS if round_number >= 0 else 0.5
                    result = await load(http, f"http://127.0.0.1:{server.port}{path}", seconds)
                    used = server.cpu_seconds() - before
                    if round_number < 0:
                        continue
                    figures = found.setdefault(f"{name}, {route}", {"per_second": [], "p99_ms": [], "cpu_us": []})
                    figures["per_second"].append(result.per_second)
                    figures["p99_ms"].append(percentile(result.latencies, 0.99) * 1000)
                    figures["cpu_us"].append(used / len(result.latencies) * 1e6)
    return found


def run(rounds: int = ROUNDS) -> Outcome:
    with (
        scratch.database() as url,
        child.running("tests.bench.decisions.grpc_subject", "aio", url) as target,
        child.running(SUBJECT, "granian", str(target.port)) as granian,
        child.running(SUBJECT, "uvicorn", str(target.port)) as uvicorn,
    ):
        found = uvloop.run(measure({"granian": granian, "uvicorn": uvicorn}, rounds))
    medians = {name: {kind: median(values) for kind, values in kinds.items()} for name, kinds in found.items()}
    rows = [
        [name, f"{figures['per_second']:,.0f}", f"{figures['p99_ms']:.1f}", f"{figures['cpu_us']:.0f}"]
        for name, figures in sorted(medians.items(), key=lambda item: item[0].split(", ")[::-1])
    ]
    return Outcome(
        "decision_asgi_server",
        "ASGI server: medians of interleaved rounds",
        ["server, route", "requests/s", "p99 ms", "server CPU µs/request"],
        rows,
        {"medians": medians, "rounds": found},
        {
            "clients": CLIENTS,
            "seconds": SECONDS,
            "rounds": rounds,
            # uvicorn parses HTTP with h11 (Python) where httptools (C) is not installed.
            "uvicorn_http": "httptools" if importlib.util.find_spec("httptools") else "h11",
        },
    )
