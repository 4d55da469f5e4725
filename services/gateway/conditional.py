"""ETag and If-Match: the version of a row, quoted."""

import re

from chassis.errors import Aborted, Reason
from services.gateway.errors import refused_field
from services.gateway.problem import FieldCode

TAG = re.compile(r'(?:W/)?"(\d{1,18})"')


def etag(version: int) -> str:
    return f'"{version}"'


def if_version(header: str | None) -> int | None:
    """The version that If-Match demands; None where any will do. Raises Aborted for a tag that was never issued.

    A weak tag counts as the strong one, because proxies that compress make it weak.
    """
    if header is None or header.strip() == "*":
        return None
    found = TAG.fullmatch(header.strip())
    if found is None:
        raise Aborted(Reason.VERSION_MISMATCH, "If-Match holds no ETag of this resource; send exactly one.")
    return int(found.group(1))


def refuse(header: str | None) -> None:
    """For a call that changes something and knows no versions.

    To ignore the condition would do what the client meant to prevent.

    Raises InvalidArgument for any but `*`.
    """
    if header is not None and header.strip() != "*":
        raise refused_field("/If-Match", FieldCode.NOT_ALLOWED, "This call takes no If-Match.")
