"""Cursors as clients see them: the service's own, under a seal that only the gateway can make.

A service binds its cursors to the account, the filter and the sort they came from, but anybody who knows how could
make one. The seal is a MAC over the account and the cursor, so that what was not issued here to this account is
refused before any service reads it. The key is derived from the first of the gateway's secrets keys, and so the same in
every replica; cursors that the others sealed are good too, while a key is rotated.
"""

import hmac
from base64 import urlsafe_b64encode

from chassis.errors import InvalidArgument, Reason
from chassis.ids import AccountId
from chassis.sealing import Sealer

MAC_BYTES = 12
SEAL_LENGTH = 16


class CursorSeal:
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, account: AccountId, cursor: str) -> str:
        """The cursor for the client; the empty one, of a last page, stays empty."""
        return self._seals(account, cursor)[0] + cursor if cursor else ""

    def open(self, account: AccountId, text: str) -> str:
        """The service's cursor. Raises InvalidArgument for what was not sealed here for this account."""
        seal, cursor = text[:SEAL_LENGTH], text[SEAL_LENGTH:]
        given = seal.encode(errors="replace")
        if not any(hmac.compare_digest(given, known.encode()) for known in self._seals(account, cursor)):
            raise InvalidArgument(
                Reason.INVALID_CURSOR, "The cursor was not issued for this request; begin without one."
            )
        return cursor

    def _seals(self, account: AccountId, cursor: str) -> list[str]:
        """By each key, the current one first."""
        content = b"cursor" + account.bytes + cursor.encode(errors="replace")
        return [urlsafe_b64encode(mac[:MAC_BYTES]).decode() for mac in self._sealer.signatures(content)]
