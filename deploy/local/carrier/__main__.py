"""`python -m deploy.local.carrier --port N --folder F`"""

import argparse
import asyncio
import logging
import signal
from pathlib import Path

import uvloop
from aiohttp import web

from deploy.local import ports
from deploy.local.carrier.app import Carrier


async def serve(port: int, folder: Path) -> None:
    """Until SIGTERM or SIGINT."""
    carrier = Carrier(folder)
    await carrier.start()
    runner = web.ServerRunner(web.Server(carrier.handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, ports.HOST, port, backlog=1024).start()
    logging.info("listening on %s:%s", ports.HOST, port)
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    await stopping.wait()
    await runner.cleanup()
    await carrier.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.carrier")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="of accepted.jsonl")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    uvloop.run(serve(arguments.port, arguments.folder))


if __name__ == "__main__":
    main()
