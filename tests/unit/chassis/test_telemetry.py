import io
import json
import logging
import subprocess
import sys

import asyncpg
import pytest
import structlog
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from chassis.telemetry import json_line, without_traceback, without_values


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


@pytest.mark.parametrize(("kind", "shown"), [(cygrpc.ExecuteBatchError, False), (ValueError, True)])
def test_an_answer_that_nobody_is_there_to_get_is_a_line_without_a_traceback(
    caplog: pytest.LogCaptureFixture, kind: type[Exception], shown: bool
) -> None:
    log = logging.getLogger("test of gRPC's")
    log.addFilter(without_traceback)
    try:
        raise kind("execute_batch")
    except kind:
        log.exception("%s raised in core", kind.__name__)
    (record,) = caplog.records
    assert record.getMessage() == f"{kind.__name__} raised in core"
    assert bool(record.exc_info) == shown


def test_the_logger_of_grpc_goes_by_it() -> None:
    program = (
        "import logging; from chassis import telemetry; telemetry.set_up_logs('test', 'info');"
        "assert telemetry.without_traceback in logging.getLogger('grpc._cython.cygrpc').filters"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
