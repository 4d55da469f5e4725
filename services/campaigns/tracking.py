"""Links in messages that lead back here: `{public_url}/t/{token}`. They keep no state; all is in the token.

A token is `{account}.{rest}`: the account's 26 characters, so that the gateway knows whom to ask for, and the base64
(URL-safe, unpadded) of

    kind (1 byte) | id of the signing key (4) | recipient's UUID (16) | HMAC-SHA256, its first 16 bytes | extra

`kind` is one of Kind; `extra` is what a kind needs besides, the URL of a click for example, and empty for an
unsubscribe. The HMAC is over account, kind, key, recipient and extra, with a key derived from the one that sealed
secrets when the link was made (sealing.Sealer.sign). A link works for as long as that key is listed.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from chassis import ids
from chassis.ids import AccountId
from chassis.sealing import KEY_ID_BYTES, Sealer

MAC_BYTES = 16
HEAD_BYTES = 1 + KEY_ID_BYTES + 16
# What a URL may be long, and room for the rest.
MAX_TOKEN = 4096


class Kind(StrEnum):
    UNSUBSCRIBE = "u"
    OPEN = "o"
    CLICK = "c"


@dataclass(frozen=True, slots=True)
class Tracked:
    """What a link was made for."""

    kind: Kind
    account: AccountId
    recipient: UUID
    extra: bytes = b""


def unsubscribe_url(public_url: str, sealer: Sealer, *, account: AccountId, recipient: UUID) -> str:
    """Where one POST takes the recipient off (RFC 8058). The same for every attempt, until the keys are rotated.

    public_url: without a slash at its end.
    """
    return url(public_url, sealer, Tracked(Kind.UNSUBSCRIBE, account, recipient))


def url(public_url: str, sealer: Sealer, tracked: Tracked) -> str:
    return f"{public_url}/t/{token(sealer, tracked)}"


def token(sealer: Sealer, tracked: Tracked) -> str:
    head = tracked.kind.encode() + bytes.fromhex(sealer.current) + tracked.recipient.bytes
    mac = sealer.sign(signed(head, tracked.account, tracked.extra))
    assert mac is not None
    rest = urlsafe_b64encode(head + mac[:MAC_BYTES] + tracked.extra).decode().rstrip("=")
    return f"{ids.encode_account(tracked.account).removeprefix('acct_')}.{rest}"


def read(sealer: Sealer, text: str) -> Tracked | None:
    """What the token says; None where it is not one of ours, or its key is gone."""
    account_part, dot, rest = text.partition(".")
    account = ids.decode_account("acct_" + account_part) if dot and len(text) <= MAX_TOKEN else None
    if account is None or not rest.isascii():
        return None
    try:
        raw = urlsafe_b64decode(rest + "=" * (-len(rest) % 4))
    except (Base64Error, ValueError):
        return None
    head, mac, extra = raw[:HEAD_BYTES], raw[HEAD_BYTES : HEAD_BYTES + MAC_BYTES], raw[HEAD_BYTES + MAC_BYTES :]
    expected = sealer.sign(signed(head, account, extra), key=head[1 : 1 + KEY_ID_BYTES].hex())
    if expected is None or not hmac.compare_digest(mac, expected[:MAC_BYTES]):
        return None
    return Tracked(Kind(head[:1].decode()), account, UUID(bytes=bytes(head[-16:])), extra)


def signed(head: bytes, account: AccountId, extra: bytes) -> bytes:
    return account.bytes + head + extra
