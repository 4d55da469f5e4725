"""Accept: whether a client would take what a call answers with."""

from chassis.errors import InvalidArgument, Reason

JSON = "application/json"
EVENTS = "text/event-stream"


class NotAcceptable(InvalidArgument):
    """HTTP knows this one, gRPC does not."""


def check(accept: str | None, produced: tuple[str, ...]) -> None:
    """produced: the media types that the call may answer with; none where any client has to take what there is.

    Raises NotAcceptable. Errors are told as problems whatever is accepted.
    """
    if not produced or not accept or accept == "*/*":
        return
    if not any(matches(part, kind) for part in accept.split(",") for kind in produced):
        raise NotAcceptable(Reason.NOT_ACCEPTABLE, f"This call answers with {' or '.join(produced)}.")


def matches(part: str, kind: str) -> bool:
    """part: one of Accept, `text/*;q=0.5`. One of quality 0 is refused by the client; `*/*` beside it is not heard."""
    wanted, *parameters = (piece.strip().lower() for piece in part.split(";"))
    if any(one.replace(" ", "") in {"q=0", "q=0.0", "q=0.00", "q=0.000"} for one in parameters):
        return False
    return wanted in {kind, "*/*", f"{kind.partition('/')[0]}/*"}
