"""What needs no key: health, the OpenAPI, the documentation."""

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chassis.errors import CarillonError
from services.gateway import docs_page
from services.gateway.problem import render


async def healthz(_: Request) -> Response:
    """Alive: touches nothing."""
    return Response(b'{"status":"ok"}', media_type="application/json")


async def readyz(request: Request) -> Response:
    """May get traffic: the keys can be looked up."""
    try:
        await request.app.state.ready()
    except CarillonError as error:
        return render(error, instance="/readyz", request_id=request.scope.get("carillon.request_id", ""))
    return Response(b'{"ready":true}', media_type="application/json")


async def openapi(request: Request) -> Response:
    return Response(orjson.dumps(request.app.openapi()), media_type="application/json")


async def docs(request: Request) -> Response:
    return Response(
        docs_page.render(request.app.openapi()), media_type="text/html; charset=utf-8", headers=docs_page.HEADERS
    )


class Page(Route):
    """As a StrictRoute is to who calls it."""

    async def answer(self, request: Request) -> Response:
        answer: Response = await self.endpoint(request)
        return answer


ROUTES = [
    Page("/healthz", healthz, methods=["GET"]),
    Page("/readyz", readyz, methods=["GET"]),
    Page("/openapi.json", openapi, methods=["GET"]),
    Page("/docs", docs, methods=["GET"]),
]
