"""The hours of the day in which none of an account's campaigns sends."""

from collections.abc import Callable

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.call import Call
from chassis.db import Database
from services.campaigns import sending_hours
from services.campaigns.repository import quiet_hours as queries


class QuietHours:
    def __init__(self, db: Database, *, wake: Callable[[], None]) -> None:
        """wake: tells the workers that some may send now; best effort."""
        self._db = db
        self._wake = wake

    async def get(self, call: Call, _: pb.GetQuietHoursRequest) -> pb.GetQuietHoursResponse:
        async with self._db.read(call.account) as tx:
            row = await queries.get(tx, call.account)
        return pb.GetQuietHoursResponse(quiet_hours=None if row is None else pb.QuietHours(**row))

    async def set(self, call: Call, request: pb.SetQuietHoursRequest) -> pb.SetQuietHoursResponse:
        given = sending_hours.read_quiet(request.quiet_hours) if request.HasField("quiet_hours") else None
        async with self._db.write(call) as tx:
            await queries.put(tx, given)
            row = await queries.get(tx, call.account)
            made = None if row is None else pb.QuietHours(**row)
            answer = await tx.reply(pb.SetQuietHoursResponse(quiet_hours=made))
        self._wake()
        return answer
