"""Cursors as clients see them: the service's own, under a seal that only the gateway can make.

A service binds its cursors to the account, the filter and the sort they came from, but anybody who knows how could
make one. The seal is a MAC over the account and the cursor, so that what was not issued here to this account is
refused before any service reads it. The key is derived from the one that signs the gateway's tokens, and so the same
in every replica.
"""

import hashlib
import hmac
from base64 import b64decode, urlsafe_b64encode

from chassis.errors import InvalidArgument, Reason
from chassis.ids import AccountId

MAC_BYTES = 12
SEAL_LENGTH = 16


class CursorSeal:
    def __init__(self, private_key: str) -> None:
        """private_key: the base64 of the gateway's Ed25519 seed."""
        self._key = hashlib.blake2b(b64decode(private_key), person=b"carillon cursor").digest()

    def seal(self, account: AccountId, cursor: str) -> str:
        """The cursor for the client; the empty one, of a last page, stays empty."""
        return self._mac(account, cursor) + cursor if cursor else ""

    def open(self, account: AccountId, text: str) -> str:
        """The service's cursor. Raises InvalidArgument for what was not sealed here for this account."""
        seal, cursor = text[:SEAL_LENGTH], text[SEAL_LENGTH:]
        if not hmac.compare_digest(seal.encode(errors="replace"), self._mac(account, cursor).encode()):
            raise InvalidArgument(
                Reason.INVALID_CURSOR, "The cursor was not issued for this request; begin without one."
            )
        return cursor

    def _mac(self, account: AccountId, cursor: str) -> str:
        content = account.bytes + cursor.encode(errors="replace")
        return urlsafe_b64encode(hashlib.blake2b(content, digest_size=MAC_BYTES, key=self._key).digest()).decode()
