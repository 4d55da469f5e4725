"""What a provider's answers lead to."""

from datetime import UTC, datetime, timedelta

import pytest

from services.campaigns.domain.campaign import Hold
from services.campaigns.domain.recipient import Status
from services.campaigns.domain.sending import (
    MAX_ATTEMPTS,
    MAX_RETRY_AFTER,
    ROUNDS,
    Accepted,
    Answer,
    Barred,
    Keys,
    Refused,
    Throttled,
    Unanswered,
    Unavailable,
    classify,
    outcome,
    round_delay,
)

HONOURED = Keys(honoured=True, kept=timedelta(hours=24))
IGNORED = Keys(honoured=False, kept=timedelta(hours=24))
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (400, Refused()),
        (401, Barred(Hold.CREDENTIALS_REFUSED)),
        (403, Barred(Hold.CREDENTIALS_REFUSED)),
        (404, Refused()),
        (422, Refused()),
        (302, Refused()),
        (429, Throttled(1.0)),
        (500, Unavailable()),
        (503, Unavailable()),
    ],
)
def test_http_statuses(status: int, answer: Answer) -> None:
    assert classify(status) == answer


def test_without_keys_only_503_may_be_repeated() -> None:
    assert classify(503, keys_honoured=False) == Unavailable()
    assert classify(500, keys_honoured=False) == classify(504, keys_honoured=False) == Unanswered()


@pytest.mark.parametrize(("asked", "taken"), [(None, 1.0), (7.0, 7.0), (-5.0, 0.1), (1e9, MAX_RETRY_AFTER)])
def test_retry_after_is_kept_within_reason(asked: float | None, taken: float) -> None:
    assert classify(429, retry_after=asked) == Throttled(taken)


@pytest.mark.parametrize(
    ("answer", "attempts", "keys", "status", "reason"),
    [
        (Accepted("x"), 1, HONOURED, Status.SENT, ""),
        (Refused(), 1, HONOURED, Status.FAILED, "provider_refused"),
        (Barred(Hold.CREDENTIALS_REFUSED), MAX_ATTEMPTS, IGNORED, Status.PENDING, ""),
        (Throttled(1), MAX_ATTEMPTS, HONOURED, Status.PENDING, ""),
        (Unavailable(), 1, HONOURED, Status.PENDING, ""),
        (Unavailable(), 1, IGNORED, Status.PENDING, ""),
        (Unavailable(), MAX_ATTEMPTS, HONOURED, Status.FAILED, "provider_error"),
        (Unanswered(), 1, HONOURED, Status.CLAIMED, "no_answer"),
        (Unanswered(), MAX_ATTEMPTS, HONOURED, Status.UNCERTAIN, "no_answer"),
        (Unanswered(), 1, IGNORED, Status.UNCERTAIN, "no_answer"),
    ],
)
def test_outcomes(answer: Answer, attempts: int, keys: Keys, status: Status, reason: str) -> None:
    end = outcome(answer, attempts=attempts, keys=keys)
    assert (end.status, end.reason) == (status, reason)


@pytest.mark.parametrize(
    ("keys", "age", "may"),
    [
        (HONOURED, None, True),
        (IGNORED, None, True),
        (HONOURED, timedelta(hours=23), True),
        (HONOURED, timedelta(hours=25), False),
        (IGNORED, timedelta(0), False),
    ],
)
def test_what_may_be_repeated(keys: Keys, age: timedelta | None, may: bool) -> None:
    assert keys.may_repeat(None if age is None else NOW - age, NOW) is may


def test_rounds_wait_longer_and_end() -> None:
    delays = [round_delay(number, jitter=0.5) for number in range(1, len(ROUNDS) + 2)]
    assert delays == [*ROUNDS, None]
    assert round_delay(1, jitter=0.0) == 0.75 * ROUNDS[0]
    assert round_delay(1, jitter=1.0) == 1.25 * ROUNDS[0]
