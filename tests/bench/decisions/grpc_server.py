"""grpc.aio or a synchronous server with threads: an empty handler and one that reads a row."""

import asyncio
from typing import Any

import grpc
import uvloop

from carillon.contacts.v1 import contacts_pb2 as pb
from tests.bench.decisions import child, scratch
from tests.bench.measure import Load, closed_loop, median, percentile
from tests.bench.record import Outcome

MODULE = "tests.bench.decisions.grpc_subject"
MODELS = ("aio", "threads")
KINDS = ("Empty", "Read")
CLIENTS = 32
# One channel is one HTTP/2 connection, and one connection would bound the client rather than the server.
CHANNELS = 4
SECONDS = 2.5
ROUNDS = 5


async def load(port: int, kind: str, seconds: float) -> Load:
    channels = [
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(CHANNELS)
    ]
    calls: list[Any] = [
        channel.unary_unary(
            f"/bench.Subject/{kind}",
            request_serializer=pb.GetContactRequest.SerializeToString,
            response_deserializer=pb.GetContactResponse.FromString,
        )
        for channel in channels
    ]
    request = pb.GetContactRequest(id="cnt_01h455vb4pex5vsknk084sn02q")
    try:
        return await closed_loop(lambda n: calls[n % CHANNELS](request, timeout=5.0), clients=CLIENTS, seconds=seconds)
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


async def measure(servers: dict[str, child.Child], rounds: int) -> dict[str, dict[str, list[float]]]:
    """By "model kind": calls a second, ms at p99, CPU microseconds of the server a call; one figure a round."""
    found: dict[str, dict[str, list[float]]] = {}
    for round_number in range(-1, rounds):
        for kind in KINDS:
            for model, server in servers.items():
                before = server.cpu_seconds()
                result = await load(server.port, kind, SECONDS if round_number >= 0 else 0.5)
                used = server.cpu_seconds() - before
                if round_number < 0:
                    continue
                figures = found.setdefault(f"{model} {kind}", {"per_second": [], "p99_ms": [], "cpu_us": []})
                figures["per_second"].append(result.per_second)
                figures["p99_ms"].append(percentile(result.latencies, 0.99) * 1000)
                figures["cpu_us"].append(used / len(result.latencies) * 1e6)
    return found


def run(rounds: int = ROUNDS) -> Outcome:
    with (
        scratch.database() as url,
        child.running(MODULE, "aio", url) as aio,
        child.running(MODULE, "threads", url) as threads,
    ):
        found = uvloop.run(measure({"aio": aio, "threads": threads}, rounds))
    medians = {name: {kind: median(values) for kind, values in kinds.items()} for name, kinds in found.items()}
    rows = [
        [name, f"{figures['per_second']:,.0f}", f"{figures['p99_ms']:.1f}", f"{figures['cpu_us']:.0f}"]
        for name, figures in sorted(medians.items(), key=lambda item: item[0].split()[::-1])
    ]
    return Outcome(
        "decision_grpc_server",
        "gRPC server: medians of interleaved rounds",
        ["server, handler", "calls/s", "p99 ms", "server CPU µs/call"],
        rows,
        {"medians": medians, "rounds": found},
        {"clients": CLIENTS, "channels": CHANNELS, "seconds": SECONDS, "rounds": rounds},
    )
