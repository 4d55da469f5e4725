"""Where the dialect is answered, how a key may be sent, and what its fields are called."""

from starlette.responses import Response

from services.gateway.dialects.chat import query_key
from services.gateway.dialects.route import DialectRoute
from services.gateway.json_request import JsonRequest

BASE = "/compat/chat"
# As its document prints them.
NAMES = {
    "phone": "phoneNumber",
    "first_name": "firstName",
    "last_name": "lastName",
    "email": "email",
    "instagram_id": "instagramId",
    "current_campaign": "currentCampaign",
    "current_campaign_data": "currentCampaignData",
    "channel": "channel",
    "is_chat_window_open": "isChatWindowOpen",
    "external_id": "externalId",
    "custom_channel": "customChannel",
    "chat_widget_id": "chatWidgetId",
    "is_bot_active": "is_bot_active",
    "do_not_disturb": "do_not_disturb",
}
# By their names in openapi.py.
SECURITY: list[dict[str, list[str]]] = [
    {"chatKeyHeader": []},
    {"chatKeyQuery": []},
    {"bearer": []},
    {"apiKeyHeader": []},
]


class ChatRoute(DialectRoute):
    base = BASE
    names = NAMES
    security = SECURITY

    async def answer(self, request: JsonRequest) -> Response:
        query_key.move(request.scope)
        return await super().answer(request)
