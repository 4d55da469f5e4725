"""What a dialect does not know: passed over, and told in a header, because the API that a client comes from may have
had more fields than its document printed."""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict
from starlette.types import Scope

HEADER = "Carillon-Ignored-Fields"
KEY = "carillon.ignored"
# Servers refuse heads over some KiB, and names are the client's.
NAME_CHARACTERS = 100
HEADER_CHARACTERS = 2_000


class DialectBody(BaseModel):
    """A request of a dialect. What it does not know is left out here, and found by `unknown`."""

    model_config = ConfigDict(extra="ignore")


def unknown(model: Any, value: object, path: str = "") -> Iterator[str]:
    """Names in a body that the model does not have; those of an object inside follow its own name and a slash."""
    if not (isinstance(model, type) and issubclass(model, DialectBody) and isinstance(value, dict)):
        return
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for name, inner in value.items():
        if name in fields:
            yield from unknown(fields[name].annotation, inner, f"{path}{name}/")
        else:
            yield path + name


def note(scope: Scope, names: Iterable[str]) -> None:
    """Remembers them for the answer to this request."""
    scope.setdefault(KEY, []).extend(names)


def header(scope: Scope) -> str | None:
    """The header's value: names between commas, percent-encoded where they are no plain text, each once; `+3` at the
    end where three more had no room. None where nothing was ignored."""
    names = list(dict.fromkeys(scope.get(KEY, ())))
    shown: list[str] = []
    room = HEADER_CHARACTERS
    for name in names:
        text = quote(name, safe="/[]:@$", errors="replace")[:NAME_CHARACTERS]
        room -= len(text) + len(", ")
        if room < 0:
            break
        shown.append(text)
    if len(shown) < len(names):
        shown.append(f"+{len(names) - len(shown)}")
    return ", ".join(shown) or None
