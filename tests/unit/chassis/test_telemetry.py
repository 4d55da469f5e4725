import io
import json
import sys

import asyncpg
import structlog

from chassis.telemetry import json_line, without_values


def refused() -> asyncpg.UniqueViolationError:
    error = asyncpg.UniqueViolationError("duplicate key")
    error.detail = "Key (phone)=(+14155552671) already exists."
    return error


def test_the_values_of_a_refused_row_stay_out_of_the_log() -> None:
    out = io.StringIO()
    log = structlog.wrap_logger(
        structlog.WriteLogger(out),
        processors=[without_values, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
    )
    try:
        try:
            raise refused()
        except asyncpg.UniqueViolationError as error:
            raise RuntimeError("import failed") from error
    except RuntimeError:
        log.error("failed", exc_info=True)
        log.error("failed", exc_info=sys.exc_info()[1])
    assert "UniqueViolationError" in out.getvalue()
    assert "4155552671" not in out.getvalue()


def test_whatever_is_logged_is_a_line_of_json() -> None:
    for value in ("Käthe", "half a pair \ud83d", 1 << 70, None):
        assert json.loads(json_line({"event": "seen", "value": value}, default=repr)) == {
            "event": "seen",
            "value": value,
        }
