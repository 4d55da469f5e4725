"""Contacts for who sends to them, page after page."""

from collections.abc import AsyncGenerator, Sequence

from chassis import ids
from chassis.db import Database
from chassis.ids import AccountId
from services.contacts import errors
from services.contacts.audiences import repository
from services.contacts.domain import limits
from services.contacts.domain.contact import Contact
from services.contacts.domain.problems import invalid
from services.contacts.lists import repository as lists

PAGE = 500


class AudienceService:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def members(self, account: AccountId, public_id: str) -> AsyncGenerator[list[Contact]]:
        """Those on a list, PAGE at a time. Raises NotFound.

        Each page is read by itself: who takes them slowly holds no connection meanwhile.
        """
        list_id = errors.parse_id("lst", public_id, kind="list")
        after = ids.LOWEST
        while True:
            async with self._db.read(account) as tx:
                # A list that was deleted may still have rows, until the background got to them.
                if await lists.get(tx, account, list_id) is None:
                    raise errors.not_found("list", public_id)
                found = await repository.members(tx, account, list_id, after=after, limit=PAGE)
            if found:
                yield found
            if len(found) < PAGE:
                return
            after = found[-1].id

    async def get(self, account: AccountId, public_ids: Sequence[str]) -> list[Contact]:
        """Those that there are. Raises InvalidArgument where too many are asked for."""
        if len(public_ids) > limits.AUDIENCE_IDS:
            raise errors.invalid([invalid("ids", f"At most {limits.AUDIENCE_IDS} contacts at once.")])
        known = [found for one in public_ids if (found := ids.decode("cnt", one)) is not None]
        async with self._db.read(account) as tx:
            return await repository.by_ids(tx, account, known)
