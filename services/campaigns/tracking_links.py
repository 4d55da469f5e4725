"""The links of an email: `/t/{account}.{signed}`. They say whose they are and what they do, and nothing is stored.

    signed = base64url(kind (1 byte) + recipient (16) + URL of a click + MAC (16))

The MAC covers the account too. Its key is made from CARILLON_SECRETS_KEYS: the first one signs, all of them are known,
so that links outlive a rotation as long as the old key stays in the list.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from chassis import ids
from chassis.ids import AccountId
from services.campaigns.domain.email_html import is_web

PURPOSE = b"carillon tracking links 1"
MAC_BYTES = 16
HEAD_BYTES = 17


class Kind(IntEnum):
    OPEN = 1
    CLICK = 2
    UNSUBSCRIBE = 3


@dataclass(frozen=True, slots=True)
class Link:
    kind: Kind
    recipient: UUID
    # Of a click.
    url: str = ""


class Links:
    def __init__(self, keys: str, *, public_url: str) -> None:
        """keys: as of sealing.Sealer."""
        self._keys = [hmac.digest(key.strip().encode(), PURPOSE, "sha256") for key in keys.split(",") if key.strip()]
        self._public_url = public_url.rstrip("/")

    def open_url(self, account: AccountId, recipient: UUID) -> str:
        return self._url(account, Link(Kind.OPEN, recipient))

    def click_url(self, account: AccountId, recipient: UUID, url: str) -> str:
        """url: one that `email_html.is_web`. Raises ValueError."""
        if not is_web(url):
            raise ValueError("only absolute http and https URLs are signed")
        return self._url(account, Link(Kind.CLICK, recipient, url))

    def unsubscribe_url(self, account: AccountId, recipient: UUID) -> str:
        return self._url(account, Link(Kind.UNSUBSCRIBE, recipient))

    def _url(self, account: AccountId, link: Link) -> str:
        return f"{self._public_url}/t/{ids.encode_account(account).removeprefix('acct_')}.{self.sign(account, link)}"

    def sign(self, account: AccountId, link: Link) -> str:
        """The part of the token behind the account."""
        content = bytes([link.kind]) + link.recipient.bytes + link.url.encode()
        return urlsafe_b64encode(content + mac(self._keys[0], account, content)).rstrip(b"=").decode()

    def read(self, account: AccountId, token: str) -> Link | None:
        """None for what was not signed here, for this account."""
        try:
            raw = urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
        except (Error, ValueError):
            return None
        content, given = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        if len(content) < HEAD_BYTES:
            return None
        known = [hmac.compare_digest(mac(key, account, content), given) for key in self._keys]
        if not any(known):
            return None
        return Link(Kind(content[0]), UUID(bytes=content[1:HEAD_BYTES]), content[HEAD_BYTES:].decode())


def mac(key: bytes, account: AccountId, content: bytes) -> bytes:
    return hmac.digest(key, account.bytes + content, "sha256")[:MAC_BYTES]
