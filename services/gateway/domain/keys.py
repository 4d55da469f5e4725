"""API keys: how one looks, what is stored of it, and what its scopes allow."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from typing import Literal, get_args

Mode = Literal["live", "test"]
MODES = get_args(Mode)
# 24 random bytes: a plain SHA-256 of the key is as good as a slow hash, because there is nothing to guess.
RANDOM_BYTES = 24
KEY = re.compile(r"ck_(?:live|test)_[0-9a-f]{48}")

# The closed list. `noun:*` is read and write of the noun; `admin` is everything.
Scope = Literal[
    "contacts:read",
    "contacts:write",
    "contacts:*",
    "segments:read",
    "segments:write",
    "segments:*",
    "campaigns:read",
    "campaigns:write",
    "campaigns:*",
    "events:read",
    "admin",
]
SCOPES = frozenset(get_args(Scope))
# What a test key is told to the services as. It is none that a key can be given.
SANDBOX = "sandbox"

ALL_SCOPES = ("contacts:*", "segments:*", "campaigns:*", "events:read", "admin")


def new_key(mode: str = "live") -> str:
    """A key in clear: shown once, never stored."""
    if mode not in MODES:
        raise ValueError(f"{mode!r} is not one of {', '.join(MODES)}")
    return f"ck_{mode}_{secrets.token_hex(RANDOM_BYTES)}"


def well_formed(key: str) -> bool:
    return KEY.fullmatch(key) is not None


def digest(key: str) -> bytes:
    """What is stored, and looked up by."""
    return hashlib.sha256(key.encode()).digest()


def is_test(key: str) -> bool:
    """Whether what is done with the key, well formed, must reach nobody."""
    return key.startswith("ck_test_")


def allows(granted: frozenset[str], needed: str) -> bool:
    """Whether a key's scopes cover the one that a call needs. Writing does not include reading."""
    noun = needed.partition(":")[0]
    return needed in granted or f"{noun}:*" in granted or "admin" in granted


def unknown_scopes(scopes: Iterable[str]) -> list[str]:
    return [scope for scope in scopes if scope not in SCOPES]
