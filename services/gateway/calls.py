"""From the edge to the operation of a path, and back with its answer or the problem that it met.

FastAPI describes the API, and answers what no operation does: unknown paths and other methods. The operations
themselves, and the pages, are called from here (ADR 0027): its layers and Starlette's are for what nobody here uses,
and a call that comes seldom pays for each of them, as it finds none in the processor's caches.
"""

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from services.gateway import refusals
from services.gateway.compression import compress
from services.gateway.json_request import JsonRequest
from services.gateway.routers.public import Page
from services.gateway.routes import StrictRoute


class Calls:
    def __init__(self, app: FastAPI) -> None:
        """app: with all of its routes, of which the first that fits a call answers it, but a literal path before any
        other. Its state is theirs too."""
        self._app = app
        self._literal: dict[tuple[str, str], StrictRoute | Page] = {}
        # By method and number of slashes.
        self._by_shape: dict[tuple[str, int], list[StrictRoute]] = {}
        # By method, of those whose last value may hold slashes.
        self._deep: dict[str, list[StrictRoute]] = {}
        for route in app.router.routes:
            if isinstance(route, StrictRoute):
                self._add(route)
            elif isinstance(route, Page):
                self._literal["GET", route.path] = route

    def _add(self, route: StrictRoute) -> None:
        method, path = route.operation.method, route.path
        if "{" not in path:
            self._literal.setdefault((method, path), route)
        elif ":path}" in path:
            self._deep.setdefault(method, []).append(route)
        else:
            self._by_shape.setdefault((method, path.count("/")), []).append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._found(scope) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["app"], scope["route"] = self._app, route
        request = JsonRequest(scope, receive)
        try:
            answer = await route.answer(request)
        except Exception as error:
            answer = refusals.answer(request, error)
            if not refusals.known(error):
                # Told like this, and raised for the edge, which logs it.
                await answer(scope, receive, send)
                raise
        compress(answer, request.headers.get("accept-encoding", ""))
        await answer(scope, receive, send)

    def _found(self, scope: Scope) -> StrictRoute | Page | None:
        """The values in its path are in the scope then. What is a path of its own is no id: DELETE /contacts/lists is
        405, no contact that is not found."""
        method, path = scope["method"], scope["path"]
        route = self._literal.get((method, path))
        if route is not None:
            scope["path_params"] = {}
            return route
        if path in self._app.state.literal_paths:
            return None
        for routes in (self._by_shape.get((method, path.count("/"))), self._deep.get(method)):
            for route in routes or ():
                match = route.path_regex.match(path)
                if match is not None:
                    # As text: no path here says that a value of it is anything else.
                    scope["path_params"] = match.groupdict()
                    return route
        return None
