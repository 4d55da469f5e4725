"""What an email address may look like."""

import re
from collections.abc import Sequence

from services.contacts.domain import limits

# The usual kind, decided here without a library: dot-atom, ASCII host name with a letter in its last label.
PLAIN = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+"
    r"(?=[A-Za-z0-9-]*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
    re.ASCII,
)
LOCAL_CHARACTERS = 64
# RFC 2606 and 6761: names that no mail reaches. They are taken, for examples and tests, and marked invalid.
UNREACHABLE = ("test", "invalid", "localhost", "local", "example")


def is_plain(text: str) -> bool:
    """True for an address of the usual ASCII kind; others need `addresses.py` to decide."""
    return (
        len(text) <= limits.EMAIL_CHARACTERS
        and text.find("@") <= LOCAL_CHARACTERS
        and PLAIN.fullmatch(text) is not None
    )


def all_plain(texts: Sequence[str]) -> bool:
    """`is_plain` of each, at a fraction of the cost."""
    return (
        max(map(len, texts), default=0) <= limits.EMAIL_CHARACTERS
        and max([text.find("@") for text in texts], default=0) <= LOCAL_CHARACTERS
        and all(map(PLAIN.fullmatch, texts))
    )


def is_reachable(text: str) -> bool:
    """False where the domain is reserved, so that no mail server can ever answer for it."""
    return text.rpartition(".")[2].lower() not in UNREACHABLE


def fold(email: str) -> str:
    """What two spellings of one address have in common: the unique keys are on it."""
    return email.lower()
