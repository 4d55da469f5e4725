"""A contact's name: stored as first and last, read as one."""


def split(name: str) -> tuple[str | None, str | None]:
    """First and last name, parted at the last space; a single word is a first name."""
    words = name.split()
    if not words:
        return None, None
    if len(words) == 1:
        return words[0], None
    return " ".join(words[:-1]), words[-1]


def join(first: str | None, last: str | None) -> str | None:
    """The name as it is read; None when there is neither."""
    if first and last:
        return f"{first} {last}"
    return first or last or None
