"""How the simulator behaves; PUT /control changes it while it runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import orjson


class InvalidControl(ValueError):
    """Says which field is wrong and why."""


@dataclass(frozen=True, slots=True)
class Control:
    """Rates are probabilities from 0 to 1."""

    # Before a message is looked at.
    delay_ms: float = 0
    # How many are answered with error_status (and Retry-After, in seconds, when that is set) and not accepted.
    error_rate: float = 0
    error_status: int = 503
    retry_after: float | None = None
    # Of batches: how many calls are answered with error_status as a whole, and how many results are left out of an
    # answer, of messages that were accepted too.
    call_error_rate: float = 0
    omit_result_rate: float = 0
    # How many are accepted and then not answered: the connection is dropped.
    reset_after_accept_rate: float = 0
    # "hold": receipts wait for POST /control/release.
    receipts: str = "auto"
    receipt_delay_ms: float = 100
    receipt_duplicate_rate: float = 0
    receipt_failed_rate: float = 0
    # False: a known Idempotency-Key is a new message, as with a provider that takes no keys.
    honour_keys: bool = True

    def changed(self, changes: Mapping[str, Any]) -> "Control":
        """Raises InvalidControl; then nothing is changed."""
        known = {field.name for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise InvalidControl(f"{name} is not a setting; there are {', '.join(sorted(known))}")
            if not is_valid(name, value):
                raise InvalidControl(f"{name} cannot be {value!r}")
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def is_valid(name: str, value: object) -> bool:
    if name == "receipts":
        return value in ("auto", "hold")
    if name == "honour_keys":
        return isinstance(value, bool)
    if name == "retry_after" and value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if name == "error_status":
        return isinstance(value, int) and 400 <= value <= 599
    return 0 <= value <= 1 if name.endswith("_rate") else value >= 0


def load(path: Path) -> Control:
    """What a killed simulator was set to; a stopped one removes the file and starts with the defaults."""
    try:
        return Control().changed(orjson.loads(path.read_bytes()))
    except (FileNotFoundError, orjson.JSONDecodeError, InvalidControl):
        return Control()


def save(path: Path, control: Control) -> None:
    scratch = path.with_suffix(".new")
    scratch.write_bytes(orjson.dumps(control.as_dict()))
    scratch.replace(path)
