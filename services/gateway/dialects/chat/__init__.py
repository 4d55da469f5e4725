"""The dialect of a chat platform: names in camelCase, some in snake_case, every call answered with 200, and the key as
`apiKey` in a header or in the query."""

from services.gateway.dialects.chat import router
from services.gateway.dialects.chat.route import ChatRoute

ROUTE = ChatRoute
OPERATIONS = router.routes.operations
