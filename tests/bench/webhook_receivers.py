"""`python -m tests.bench.webhook_receivers PORT FILE`: endpoints of every temper, in a process of their own.

POST /NAME is an endpoint: its temper is the name up to the first `-`. While PUT /temper/bad is in force, `slow` answers
after SLOW_SECONDS, `failing` by 500, `redirecting` by 302; after PUT /temper/good all answer 204. FILE gets a line for
each request that was taken: name, event id, and time.monotonic(), which all processes of a machine share.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import TextIO

import uvloop
from aiohttp import web

SLOW_SECONDS = 2.0


class Endpoints:
    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._bad = True

    async def temper(self, request: web.Request) -> web.Response:
        self._bad = request.match_info["temper"] == "bad"
        return web.Response(status=204)

    async def post(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await request.read()
        kind = name.partition("-")[0] if self._bad else "healthy"
        if kind == "failing":
            return web.Response(status=500)
        if kind == "redirecting":
            return web.Response(status=302, headers={"Location": "/healthy-elsewhere"})
        at = time.monotonic()
        if kind == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        self._file.write(f"{name} {request.headers['webhook-id']} {at}\n")
        return web.Response(status=204)


async def serve(port: int, file: Path) -> None:
    with file.open("w", buffering=1) as lines:
        endpoints = Endpoints(lines)
        app = web.Application(client_max_size=8 << 20)
        app.router.add_put("/temper/{temper}", endpoints.temper)
        app.router.add_post("/{name}", endpoints.post)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
