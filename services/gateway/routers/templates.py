"""Message templates."""

from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import CallerOf, known_id
from services.gateway.convert import templates as convert
from services.gateway.convert.values import page
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import templates as schemas

routes = Routes("Templates")

READ, WRITE = "campaigns:read", "campaigns:write"


def template_id(text: str) -> str:
    return known_id("tmpl", text, "template")


@routes.add(
    "POST",
    "/templates",
    operation_id="createTemplate",
    summary="Create a template",
    scope=WRITE,
    status=201,
    answer=schemas.Template,
    reasons=[Reason.INVALID_TEMPLATE],
)
async def create_template(caller: CallerOf, body: schemas.TemplateCreate) -> Response:
    """Liquid: `{{ name }}`, `{{ code | default: "x" }}`. The answer lists the variables that it uses."""
    client = caller.backends.campaigns
    answer = await caller.write(client, client.stub.CreateTemplate, convert.new_template(body))
    found = answer.template
    return caller.answer(convert.template(found), status=201, version=found.version, location=f"/templates/{found.id}")


@routes.add(
    "GET",
    "/templates",
    operation_id="listTemplates",
    summary="List templates, newest first",
    scope=READ,
    answer=schemas.TemplatePage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_templates(caller: CallerOf, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None) -> Response:
    client = caller.backends.campaigns
    request = pb.ListTemplatesRequest(page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListTemplates, request)
    return caller.answer(page([convert.template(one) for one in answer.templates], answer.next_cursor))


@routes.add(
    "GET",
    "/templates/{id}",
    operation_id="getTemplate",
    summary="Get a template",
    scope=READ,
    answer=schemas.Template,
    reasons=[Reason.NOT_FOUND],
)
async def get_template(caller: CallerOf, id: str) -> Response:
    client = caller.backends.campaigns
    answer = await caller.read(client, client.stub.GetTemplate, pb.GetTemplateRequest(id=template_id(id)))
    return caller.answer(convert.template(answer.template), version=answer.template.version)


async def update(caller: CallerOf, id: str, body: schemas.TemplateUpdate) -> Response:
    """Only the fields sent. Campaigns that were started already keep the text they started with."""
    client = caller.backends.campaigns
    request = convert.template_update(template_id(id), body, caller.if_version)
    answer = await caller.write(client, client.stub.UpdateTemplate, request)
    return caller.answer(convert.template(answer.template), version=answer.template.version)


for method, operation_id in (("PUT", "updateTemplate"), ("PATCH", "patchTemplate")):
    routes.add(
        method,
        "/templates/{id}",
        operation_id=operation_id,
        summary="Change the fields sent",
        scope=WRITE,
        answer=schemas.Template,
        reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH, Reason.INVALID_TEMPLATE],
    )(update)


@routes.add(
    "DELETE",
    "/templates/{id}",
    operation_id="deleteTemplate",
    summary="Delete a template",
    scope=WRITE,
    status=204,
    reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH, Reason.RESOURCE_IN_USE],
)
async def delete_template(caller: CallerOf, id: str) -> Response:
    client = caller.backends.campaigns
    request = pb.DeleteTemplateRequest(id=template_id(id), if_version=caller.if_version)
    await caller.write(client, client.stub.DeleteTemplate, request)
    return caller.gone()


@routes.add(
    "POST",
    "/templates/{id}/render",
    operation_id="renderTemplate",
    summary="See what a template says, to a contact or with variables",
    scope=READ,
    answer=schemas.Rendered,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_TEMPLATE],
    keeps_answer=True,
)
async def render_template(caller: CallerOf, id: str, body: schemas.TemplateRender) -> Response:
    """Sends nothing. For an SMS with its encoding and its number of parts."""
    client = caller.backends.campaigns
    answer = await caller.read(client, client.stub.RenderTemplate, convert.render(template_id(id), body))
    return caller.answer(convert.rendered(answer))
