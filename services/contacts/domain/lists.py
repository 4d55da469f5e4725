"""What a static list may be called."""

from services.contacts.domain import limits
from services.contacts.domain.problems import Refused, invalid


def read_name(text: str) -> str:
    """Trimmed. Raises Refused."""
    name = text.strip()
    if not name:
        raise Refused(invalid("name", "A list needs a name."))
    check(name, field="name", limit=limits.NAME_CHARACTERS)
    return name


def read_description(text: str) -> str | None:
    """Trimmed; None when nothing is left. Raises Refused."""
    description = text.strip()
    check(description, field="description", limit=limits.DESCRIPTION_CHARACTERS)
    return description or None


def check(text: str, *, field: str, limit: int) -> None:
    if len(text) > limit:
        raise Refused(invalid(field, f"{field} has at most {limit} characters."))
    if "\0" in text:
        raise Refused(invalid(field, f"{field} has a NUL character."))
