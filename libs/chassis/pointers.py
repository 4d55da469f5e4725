"""JSON pointers (RFC 6901), as errors use them to say which field is refused."""


def escaped(part: str) -> str:
    """A key as one part of a pointer."""
    return part.replace("~", "~0").replace("/", "~1")
