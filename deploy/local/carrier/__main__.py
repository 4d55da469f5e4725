"""`python -m deploy.local.carrier --port N --folder F`"""

import argparse
import asyncio
import gc
import logging
import signal
from pathlib import Path

import uvloop

from deploy.local import ports
from deploy.local.carrier.app import Carrier
from deploy.local.carrier.http import Server


async def serve(port: int, folder: Path) -> None:
    """Until SIGTERM or SIGINT."""
    carrier = Carrier(folder)
    await carrier.start()
    server = Server(carrier.handle)
    await server.start(ports.HOST, port)
    logging.info("listening on %s:%s", ports.HOST, port)
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    await stopping.wait()
    await server.stop()
    await carrier.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.carrier")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="of accepted.jsonl")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # What it remembers of each message is never garbage, and would be walked again and again in search of some.
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)
    uvloop.run(serve(arguments.port, arguments.folder))


if __name__ == "__main__":
    main()
