import pytest

from chassis.errors import BY_STATUS, CarillonError, Internal, Reason, Violation, from_status, to_status


@pytest.mark.parametrize("kind", list(BY_STATUS.values()))
def test_an_error_survives_the_wire(kind: type[CarillonError]) -> None:
    sent = kind(
        Reason.CONTACT_EXISTS,
        "There is one.",
        metadata={"existing_id": "cnt_1"},
        violations=[Violation("/phone", "invalid_phone", "Not a phone.")],
    )
    received = from_status(to_status(sent))
    assert type(received) is kind
    assert (received.reason, received.detail) == ("contact_exists", "There is one.")
    assert received.metadata == sent.metadata
    assert received.violations == sent.violations


def test_a_foreign_status_tells_nothing() -> None:
    status = to_status(Internal(Reason.INTERNAL, "secret"))
    del status.details[:]
    assert from_status(status).reason == "internal"
    assert "secret" not in from_status(status).detail
