"""Answers of POSTs that write nothing, kept under their Idempotency-Key here: no service has a transaction for them.

A crash before the answer is kept does no harm: nothing was done, and the repeated request is answered anew.
"""

from collections.abc import Awaitable, Callable

from google.protobuf.wrappers_pb2 import BytesValue
from starlette.responses import Response

from chassis import idempotency
from chassis.db import Database
from chassis.idempotency import Replay
from services.gateway.caller import JSON, Caller
from services.gateway.own_writes import as_call


class KeptAnswers:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def answer(self, caller: Caller, operation: str, make: Callable[[], Awaitable[Response]]) -> Response:
        """What was answered before, or what `make` answers now.

        Raises FailedPrecondition where the key was used with another request, and what `make` raises, which is not
        kept.
        """
        call = as_call(caller, operation)
        if call.idempotency is None:
            return await make()
        try:
            async with self._db.read(call.account) as tx:
                await idempotency.begin(tx.connection, call)
            made = await make()
            if made.status_code < 300:
                async with self._db.write(call) as tx:
                    await tx.reply(BytesValue(value=bytes(made.body)))
            return made
        except Replay as before:
            body = BytesValue.FromString(before.response).value
            return Response(body, media_type=JSON, headers={"Idempotent-Replayed": "true"})
