"""Writes to what the gateway itself owns: with the Idempotency-Key in the transaction of the write, as services do it.

What is kept under a key is the answer as JSON in a protobuf message of bytes, without its secrets. It is read by other
versions too, for a day: an operation keeps its name, and what it keeps its form.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BytesValue
from starlette.requests import Request
from starlette.responses import Response

from chassis.call import Call, Idempotency
from chassis.db import Database, WriteTx
from chassis.idempotency import Replay
from services.gateway.caller import Caller


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a write. secrets: fields of the body that are null in a replay."""

    body: dict[str, Any]
    status: int = 200
    version: int | None = None
    location: str | None = None
    secrets: frozenset[str] = frozenset()
    # What is kept instead of the body as JSON; see `write`.
    message: Message | None = None

    def kept(self) -> Message:
        if self.message is not None:
            return self.message
        body = self.body | dict.fromkeys(self.secrets)
        return BytesValue(value=orjson.dumps([body, self.status, self.version, self.location]))


def database(request: Request) -> Database:
    db: Database = request.app.state.db
    return db


def written_as_json(kept: bytes) -> Written:
    return Written(*orjson.loads(BytesValue.FromString(kept).value))


async def write(
    caller: Caller,
    db: Database,
    operation: str,
    work: Callable[[WriteTx], Awaitable[Written]],
    *,
    read: Callable[[bytes], Written] = written_as_json,
) -> Response:
    """operation: tells one call from another under the same key. read: what was kept, where that is a message.

    Raises what `work` raises.
    """
    try:
        async with db.write(as_call(caller, operation)) as tx:
            written = await work(tx)
            await tx.reply(written.kept())
    except Replay as replay:
        caller.replayed = True
        written = read(replay.response)
    return caller.answer(written.body, status=written.status, version=written.version, location=written.location)


def as_call(caller: Caller, operation: str) -> Call:
    key = caller.idempotency
    return Call(
        account=caller.principal.account,
        issuer="gateway",
        scopes=caller.principal.scopes,
        request_id=caller.request_id,
        idempotency=None if key is None else Idempotency(key[0], operation, key[1]),
    )
