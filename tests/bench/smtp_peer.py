"""`python -m tests.bench.smtp_peer FILE`: an SMTP server that takes every mail, in a process of its own.

Prints its port. FILE gets a line for each mail before it is answered, as the carrier simulator writes them.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import orjson
import uvloop
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.ports import HOST


class Taking:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        line = {"at": datetime.now(UTC).isoformat(), "to": envelope.rcpt_tos[0]}
        self._file.write(orjson.dumps(line) + b"\n")
        return "250 OK"


async def serve(file: Path) -> None:
    with file.open("wb", buffering=0) as lines:
        handler = Taking(lines)
        server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler, hostname="peer.test"), HOST, 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
