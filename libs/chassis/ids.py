"""Public ids: a prefix, `_` and a UUIDv7 in 26 characters of Crockford base32 (the TypeID form).

Source: https://github.com/jetify-com/typeid/tree/main/spec
"""

from typing import NewType
from uuid import UUID

import uuid_utils
from asyncpg.pgproto import pgproto

AccountId = NewType("AccountId", UUID)

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Ten and fifteen bits at a time: 9 look-ups an id instead of 26.
PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
TRIPLES = [pair + c for pair in PAIRS for c in ALPHABET]
# To the digits that int() knows in base 32; every other ASCII character to one that it refuses.
DIGITS = dict.fromkeys(range(128), "!") | dict(zip(map(ord, ALPHABET), "0123456789abcdefghijklmnopqrstuv", strict=True))
LENGTH = 26
# Before and behind every id, for reading in order of id.
LOWEST, HIGHEST = UUID(int=0), UUID(int=2**128 - 1)


def new() -> UUID:
    """A UUIDv7: sorts by the time it was made."""
    # The driver's UUID, a subclass, is made in a third of the time of the standard library's.
    made: UUID = pgproto.UUID(uuid_utils.uuid7().bytes)
    return made


def encode(prefix: str, value: UUID) -> str:
    """`encode("cnt", …)` is `cnt_01h455vb4pex5vsknk084sn02q`."""
    number = value.int
    # 60, 45 and 25 bits: numbers of a machine word's size are shifted faster.
    high, middle, low = number >> 70, number >> 25 & 0x1FFF_FFFF_FFFF, number & 0x1FF_FFFF
    return (
        f"{prefix}_{TRIPLES[high >> 45]}{TRIPLES[high >> 30 & 32767]}{TRIPLES[high >> 15 & 32767]}"
        f"{TRIPLES[high & 32767]}{TRIPLES[middle >> 30]}{TRIPLES[middle >> 15 & 32767]}{TRIPLES[middle & 32767]}"
        f"{TRIPLES[low >> 10]}{PAIRS[low & 1023]}"
    )


def decode(prefix: str, text: str) -> UUID | None:
    """The UUID of a public id, or None where the text is not an id with that prefix."""
    start = len(prefix) + 1
    if len(text) != start + LENGTH or not text.startswith(prefix + "_"):
        return None
    return decode_suffix(text[start:])


def decode_suffix(text: str) -> UUID | None:
    """The UUID of the 26 characters behind the prefix, or None."""
    # 26 characters hold 130 bits; a first one above 7 would not fit.
    if len(text) != LENGTH or text[0] > "7" or not text.isascii():
        return None
    try:
        decoded: UUID = pgproto.UUID(int(text.translate(DIGITS), 32).to_bytes(16))
        return decoded
    except ValueError:
        return None


def decode_account(text: str) -> AccountId | None:
    value = decode("acct", text)
    return None if value is None else AccountId(value)


def encode_account(account: AccountId) -> str:
    return encode("acct", account)
