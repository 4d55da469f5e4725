"""Values that every noun has."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

import orjson
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.contacts.v1 import contacts_pb2 as contacts_pb


class ProtoEnum(Protocol):
    def items(self) -> Iterable[tuple[str, Any]]: ...


class Names:
    """The public names of a proto enum: CHANNEL_SMS is `sms`."""

    def __init__(self, enum: ProtoEnum, prefix: str, *, unspecified: str) -> None:
        self._text = {value: name.removeprefix(prefix).lower() for name, value in enum.items()}
        self._text[0] = unspecified
        self._value = {text: value for value, text in self._text.items() if value}

    def text(self, value: int) -> str:
        """A value that this build does not know yet reads as unspecified."""
        return self._text.get(value, self._text[0])

    def value(self, text: str | None) -> Any:
        """None is unspecified. Raises KeyError."""
        return self._value[text] if text is not None else 0


CHANNELS = Names(contacts_pb.Channel, "CHANNEL_", unspecified="unknown")


class HasRows(Protocol):
    @property
    def errors(self) -> Sequence[contacts_pb.RowError]: ...


def moment(stamp: Timestamp) -> str:
    """RFC 3339 in UTC; fractions only where there are any."""
    micros = stamp.nanos // 1000
    return f"{second(stamp.seconds)}.{micros:06d}Z" if micros else f"{second(stamp.seconds)}Z"


@lru_cache(maxsize=4096)
def second(seconds: int) -> str:
    """Contacts of a page were often made together."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def moment_or_none(message: Message, field: str) -> str | None:
    return moment(getattr(message, field)) if message.HasField(field) else None


def timestamp(value: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(value.astimezone(UTC).replace(tzinfo=None))
    return stamp


def json_object(text: str) -> dict[str, Any]:
    """Objects travel as text in the protos; an empty text is an empty object."""
    value = orjson.loads(text) if text else {}
    return value if isinstance(value, dict) else {}


def embedded(text: str) -> orjson.Fragment:
    """The object as it is, for an answer: not parsed only to be encoded again."""
    return orjson.Fragment(text or "{}")


def json_text(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()


def page(data: list[Any] | orjson.Fragment, next_cursor: str, **more: object) -> dict[str, object]:
    return {"data": data, "next_cursor": next_cursor or None, "has_more": bool(next_cursor), **more}


def row_errors(source: HasRows) -> list[dict[str, object]]:
    return [
        {"row": error.row, "reason": error.reason, "code": error.code, "column": error.column or None}
        for error in source.errors
    ]
