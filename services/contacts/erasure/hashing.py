"""What stays of an address when a contact is deleted: a keyed hash, which says nothing without the key.

The key is the deployment's (CARILLON_ERASURE_KEY). Without it all phone numbers could be tried in minutes. It cannot be
changed: the opt-outs of deleted contacts would no longer be known.
"""

import hmac
from base64 import b64decode
from collections.abc import Sequence

from chassis.ids import AccountId

KEY_BYTES = 32


class AddressHash:
    def __init__(self, key: str) -> None:
        """key: base64 of at least 32 random bytes. Raises ValueError."""
        self._key = b64decode(key, validate=True)
        if len(self._key) < KEY_BYTES:
            raise ValueError(f"the erasure key has fewer than {KEY_BYTES} bytes")

    def of(self, account: AccountId, address: str, *, by_email: bool) -> bytes:
        """32 bytes. address: E.164, or an email as domain.emails folds it. Differs from account to account."""
        return self.of_all(account, [address], by_email=by_email)[0]

    def of_all(self, account: AccountId, addresses: Sequence[str], *, by_email: bool) -> list[bytes]:
        """`of` each, in their order."""
        kind = b"email" if by_email else b"phone"
        # Copied for each: what all have in common takes longer than the address.
        begun = hmac.new(self._key, b"\0".join((kind, account.bytes, b"")), "sha256")
        hashes = []
        for address in addresses:
            one = begun.copy()
            one.update(address.encode())
            hashes.append(one.digest())
        return hashes
