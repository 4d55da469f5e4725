"""What a sender's settings and secrets may hold, by kind of provider: names, kinds of value, defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

MAX_URL = 2048


class Refused(Exception):
    """A value does not fit, with where it stands and why."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.detail = detail


class Kind(Protocol):
    @property
    def expects(self) -> str:
        """Ends the sentence `port must be …`."""
        ...

    def fits(self, value: object) -> bool: ...


@dataclass(frozen=True, slots=True)
class Url:
    expects: str = "an absolute http or https URL without user information"

    def fits(self, value: object) -> bool:
        if not isinstance(value, str) or len(value) > MAX_URL or any(ord(character) <= 32 for character in value):
            return False
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            return False
        return usable and "@" not in parts.netloc


@dataclass(frozen=True, slots=True)
class Flag:
    expects: str = "true or false"

    def fits(self, value: object) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Number:
    """Greater than `above` and up to `most`."""

    above: float
    most: float
    whole: bool = False

    @property
    def expects(self) -> str:
        return f"a {'whole ' if self.whole else ''}number above {self.above:g} and up to {self.most:g}"

    def fits(self, value: object) -> bool:
        kinds = (int,) if self.whole else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and self.above < value <= self.most


@dataclass(frozen=True, slots=True)
class Choice:
    of: tuple[str, ...]

    @property
    def expects(self) -> str:
        return f"one of {', '.join(self.of)}"

    def fits(self, value: object) -> bool:
        return value in self.of if isinstance(value, str) else False


@dataclass(frozen=True, slots=True)
class Line:
    """Goes into a header or a command, so without control characters."""

    longest: int = 200
    ascii_only: bool = True

    @property
    def expects(self) -> str:
        return f"1 to {self.longest} printable {'ASCII ' if self.ascii_only else ''}characters"

    def fits(self, value: object) -> bool:
        if not isinstance(value, str) or not 1 <= len(value) <= self.longest or not value.isprintable():
            return False
        return value.isascii() or not self.ascii_only


@dataclass(frozen=True, slots=True)
class Word:
    """Goes into a path."""

    longest: int = 64

    @property
    def expects(self) -> str:
        return f"1 to {self.longest} letters and digits"

    def fits(self, value: object) -> bool:
        return isinstance(value, str) and len(value) <= self.longest and value.isascii() and value.isalnum()


@dataclass(frozen=True, slots=True)
class Host:
    expects: str = "a host name or an address"

    def fits(self, value: object) -> bool:
        allowed = set("abcdefghijklmnopqrstuvwxyz0123456789.-:_")
        return isinstance(value, str) and 1 <= len(value) <= 253 and set(value.lower()) <= allowed


@dataclass(frozen=True, slots=True)
class Server(Host):
    """One that is connected to."""


@dataclass(frozen=True, slots=True)
class Setting:
    kind: Kind
    about: str
    default: Any = None
    required: bool = False


Schema = Mapping[str, Setting]


def checked(schema: Schema, given: Mapping[str, Any], *, provider: str, noun: str) -> dict[str, Any]:
    """What was given, where all of it fits. Raises Refused for the first that does not.

    noun: setting or secret.
    """
    unknown = sorted(given.keys() - schema.keys())
    if unknown:
        known = f"it has {', '.join(schema)}" if schema else f"it has no {noun}s"
        raise Refused(unknown[0], f"The provider {provider} has no such {noun}; {known}.")
    for name, setting in schema.items():
        if name not in given:
            if setting.required:
                raise Refused(name, f"The provider {provider} needs the {noun} {name}: {setting.kind.expects}.")
        elif not setting.kind.fits(given[name]):
            raise Refused(name, f"{name} must be {setting.kind.expects}.")
    return dict(given)


def hosts(schema: Schema, given: Mapping[str, Any]) -> dict[str, str]:
    """Which are connected to, by setting, of settings that fit."""
    urls = {name: urlsplit(value).hostname or "" for name, value in given.items() if isinstance(schema[name].kind, Url)}
    return urls | {name: value for name, value in given.items() if isinstance(schema[name].kind, Server)}


def filled(schema: Schema, given: Mapping[str, Any]) -> dict[str, Any]:
    """With the defaults of what was not given; None where there is none."""
    return {name: setting.default for name, setting in schema.items()} | dict(given)
