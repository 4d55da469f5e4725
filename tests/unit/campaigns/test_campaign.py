"""The state machine, whole: every verb on every state."""

from datetime import UTC, datetime, timedelta

import pytest

from services.campaigns.domain.campaign import Hold, InvalidState, Status, Verb, after, hold_when_due

# Rows: verbs; columns: draft, running, paused, completed, cancelled. `-`: refused.
TABLE = """
start     running    -          running    -          -
pause     -          paused     -          -          -
resume    -          -          running    -          -
cancel    cancelled  cancelled  cancelled  -          -
complete  -          completed  -          -          -
update    draft      -          -          -          -
upload    draft      -          -          -          -
delete    draft      -          -          completed  cancelled
estimate  draft      -          -          -          -
clone     draft      running    paused     completed  cancelled
test      draft      running    paused     -          -
"""
CELLS = [
    (status, Verb(verb), end)
    for verb, *ends in (line.split() for line in TABLE.split("\n") if line)
    for status, end in zip(Status, ends, strict=True)
]


def test_the_table_is_whole() -> None:
    assert {(status, verb) for status, verb, _ in CELLS} == {(status, verb) for status in Status for verb in Verb}


@pytest.mark.parametrize(("status", "verb", "end"), CELLS)
def test_verb_on_state(status: Status, verb: Verb, end: str) -> None:
    if end == "-":
        with pytest.raises(InvalidState) as caught:
            after(status, verb)
        assert (caught.value.status, caught.value.verb) == (status, verb)
    else:
        assert after(status, verb) is Status(end)


@pytest.mark.parametrize(
    ("late", "has_audience", "hold"),
    [
        (timedelta(0), True, None),
        (timedelta(minutes=59), True, None),
        (timedelta(minutes=61), True, Hold.SCHEDULE_MISSED),
        (timedelta(minutes=61), False, Hold.SCHEDULE_MISSED),
        (timedelta(seconds=1), False, Hold.AUDIENCE_MISSING),
    ],
)
def test_due_draft(late: timedelta, has_audience: bool, hold: Hold | None) -> None:
    now = datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert hold_when_due(now, now - late, has_audience=has_audience) is hold


@pytest.mark.parametrize(("max_late", "hold"), [(90, None), (89, Hold.SCHEDULE_MISSED)])
def test_how_late_is_too_late_is_the_campaign_s_to_say(max_late: int, hold: Hold | None) -> None:
    now = datetime(2026, 3, 1, 9, tzinfo=UTC)
    at = now - timedelta(seconds=90)
    assert hold_when_due(now, at, has_audience=True, max_late=timedelta(seconds=max_late)) is hold
