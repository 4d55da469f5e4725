"""The wrapper of a dialect's operations: unknown fields and parameters are ignored and told, and errors name fields as
the dialect does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from chassis.errors import CarillonError, Violation
from services.gateway.dialects import ignored
from services.gateway.json_request import JsonRequest
from services.gateway.routes import StrictRoute


class DialectRoute(StrictRoute):
    # Canonical name of a field → the dialect's.
    names: ClassVar[Mapping[str, str]] = {}

    async def answer(self, request: JsonRequest) -> Response:
        try:
            answer = await super().answer(request)
        except CarillonError as error:
            error.violations = tuple(self.renamed(one) for one in error.violations)
            raise
        names = ignored.header(request.scope)
        if names is not None:
            answer.headers[ignored.HEADER] = names
        return answer

    def body_of(self, request: JsonRequest) -> Any:
        """Notes what the operation's body does not have."""
        value = super().body_of(request)
        assert self.body_field is not None
        ignored.note(request.scope, ignored.unknown(self.body_field.field_info.annotation, value))
        return value

    def on_unknown_parameters(self, request: Request, names: list[str]) -> None:
        ignored.note(request.scope, names)

    def renamed(self, violation: Violation) -> Violation:
        """`/phone` as `/phoneNumber`, and what is below it stays."""
        first, slash, rest = violation.pointer.removeprefix("/").partition("/")
        return replace(violation, pointer=f"/{self.names[first]}{slash}{rest}") if first in self.names else violation
