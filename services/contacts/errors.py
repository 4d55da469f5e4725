"""The refusals of this service, in the words of carillon.errors.v1."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from chassis import ids
from chassis.errors import (
    Aborted,
    AlreadyExists,
    CarillonError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Reason,
    Violation,
)
from services.contacts.domain.identity import Holder
from services.contacts.domain.problems import Problem, Refused


@contextmanager
def refusing() -> Iterator[None]:
    """The domain's refusals leave the block as InvalidArgument."""
    try:
        yield
    except Refused as refused:
        raise invalid(refused.problems) from refused


def invalid(problems: Sequence[Problem]) -> InvalidArgument:
    """One error of all problems; its reason is theirs where they agree."""
    codes = {problem.code for problem in problems}
    reason = codes.pop() if len(codes) == 1 else Reason.VALIDATION_FAILED
    detail = problems[0].detail if len(problems) == 1 else f"{len(problems)} fields cannot be taken; see errors."
    return InvalidArgument(reason, detail, violations=[Violation(p.pointer, p.code, p.detail) for p in problems])


def not_found(kind: str, public_id: str) -> NotFound:
    return NotFound(Reason.NOT_FOUND, f"No {kind} has the id {public_id[:64]!r}.")


def parse_id(prefix: str, text: str, *, kind: str) -> UUID:
    """Raises NotFound where the text is no id of the kind: it answers as an unknown one."""
    value = ids.decode(prefix, text)
    if value is None:
        raise not_found(kind, text)
    return value


def taken(holders: Sequence[Holder]) -> CarillonError:
    """holders: the other contacts that have the keys, at least one."""
    public = [ids.encode("cnt", holder.id) for holder in holders]
    if len(holders) == 1:
        return AlreadyExists(
            Reason.CONTACT_EXISTS,
            f"A contact with that {holders[0].key} is there already.",
            metadata={"existing_id": public[0]},
            violations=[Violation(f"/{holders[0].key}", Reason.CONTACT_EXISTS, "Taken by another contact.")],
        )
    return AlreadyExists(
        Reason.IDENTITY_CONFLICT,
        "The keys given belong to different contacts.",
        metadata={"existing_ids": ",".join(public)},
    )


def version_mismatch(current: int, *, kind: str = "contact") -> Aborted:
    return Aborted(
        Reason.VERSION_MISMATCH,
        f"The {kind} is at version {current}.",
        metadata={"version": str(current)},
    )


def invalid_state(status: str, detail: str) -> FailedPrecondition:
    return FailedPrecondition(Reason.INVALID_STATE, detail, metadata={"status": status})


def no_such_key(key: str) -> NotFound:
    return NotFound(Reason.NOT_FOUND, f"No contact has that {key}.")


def no_such_tag(tag: str) -> NotFound:
    return NotFound(Reason.NOT_FOUND, f"The contact has no tag {tag[:64]!r}.")
