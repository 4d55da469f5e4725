"""A child that is about to become another program is left alone by gRPC."""

import subprocess
import sys

# Forks as uvloop does, while gRPC has threads; its handlers say so on standard error, or crash the child.
FORK = """
import chassis, asyncio, grpc, sys, uvloop
assert "grpc" in sys.modules
async def main():
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.start()
    for _ in range(20):
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
        assert await child.wait() == 0
    await server.stop(None)
uvloop.run(main())
"""


def test_grpc_does_nothing_when_a_program_is_started() -> None:
    ran = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
