"""An example of every parameter, body and answer in the OpenAPI, made of what the schemas say.

A model's own `examples` come first; then a field's; then what KNOWN has under the field's name; then the first thing
that its type allows. So a field is given an example once, and every operation that has it shows it.
"""

import re
from typing import Any

Schema = dict[str, Any]

SUFFIX = "01h455vb4pex5vsknk084sn02q"
PREFIXES = {
    "contact": "cnt", "list": "lst", "segment": "seg", "campaign": "cmp", "template": "tmpl", "sender": "sender",
    "import": "imp", "export": "exp", "message": "msg", "api-key": "key", "suppression": "sup", "bulk-job": "job",
    "webhook": "whk", "event": "evt", "recipient": "rcp", "activity": "act",
}  # fmt: skip
MOMENT = "2026-03-01T09:00:00Z"
# By the name of a field or parameter. Their models know better where there is more to say.
KNOWN: dict[str, Any] = {
    "exclude_segment_id": f"seg_{SUFFIX}",
    "address": "CARILLON", "body": "Hi {{ name }}, your code is {{ code }}.", "campaign_id": f"cmp_{SUFFIX}",
    "channel": "sms", "channels": ["sms", "email"], "chat_widget_id": "widget-7", "contact_id": f"cnt_{SUFFIX}",
    "country": "US", "cursor": None, "current_campaign": "Spring sale", "current_campaign_data": {"step": 2},
    "default_region": "US", "description": "Asked for it", "email": "john@example.com", "external_id": "crm-42",
    "file_name": "contacts.csv", "first_name": "John", "gender": "male", "has_more": False, "instagram_id": "johndoe",
    "language": "en", "last_name": "Doe", "limit": 50, "list_id": f"lst_{SUFFIX}", "lists": [f"lst_{SUFFIX}"],
    "matches": 1, "metadata": {"plan": "gold"}, "name": "John Doe", "next_cursor": None, "not_found": [], "page": 1,
    "per_page": 50, "phone": "+1234567890", "progress": 1.0, "provider": "http", "search": "john",
    "segment_id": f"seg_{SUFFIX}", "sender_id": f"sender_{SUFFIX}", "settings": {}, "source": "api",
    "stage": "customer", "tag": "premium", "tags": ["premium", "active"], "template_id": f"tmpl_{SUFFIX}",
    "text": "Hi John, your code is 1234.", "timezone": "America/New_York", "title": "Not found",
    "to": ["+1234567890"], "token": f"{SUFFIX}.secret", "variables": {"code": "1234"}, "version": 1,
}  # fmt: skip
# By the operation, where the parts of a body do not go together.
BODIES: dict[str, Any] = {
    "updateCampaign": {"name": "Premium Offer", "rate_limit_per_second": 20},
    "updateTemplate": {"body": "Hi {{ name }}, your code is {{ code }}."},
    "updateSender": {"name": "Main number", "rate_limit_per_second": 50},
    "createSuppression": {"phone": "+1234567890", "reason": "asked by phone"},
    "commitImport": {"mapping": {"City": "metadata.city", "Mobile": "phone"}, "on_duplicate": "update"},
}
# Of several parameters of which one is to be given.
ALONE = {"lookupContact": "phone"}
FILE = "phone,name\n+1234567890,John Doe\n"
DEEPEST = 8
METHODS = frozenset({"get", "post", "put", "patch", "delete"})


def add(document: dict[str, Any]) -> None:
    """To every operation of the document."""
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            add_to_operation(path, item[method], Examples(schemas, noun_of(path)))


def add_to_operation(path: str, operation: dict[str, Any], examples: "Examples") -> None:
    alone = ALONE.get(operation["operationId"])
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "header" or (alone is not None and parameter["name"] != alone):
            continue
        made = examples.of(parameter["schema"], parameter["name"])
        if made is not None and "example" not in parameter:
            parameter["example"] = made
    taken = operation.get("requestBody", {}).get("content", {})
    named = BODIES.get(operation["operationId"].replace("patch", "update"))
    if named is not None:
        taken["application/json"]["example"] = named
    if "multipart/form-data" in taken:
        taken["multipart/form-data"]["example"] = {"file": FILE}
    bodies = [operation.get("requestBody", {}), *(answer for _, answer in sorted(operation["responses"].items()))]
    for body in bodies:
        for kind, content in body.get("content", {}).items():
            if kind == "application/json" and "schema" in content and "example" not in content:
                content["example"] = examples.of(content["schema"], "")


def noun_of(path: str) -> str:
    """What an {id} in the path names: the segment before it, in the singular."""
    before = path.partition("/{id}")[0].rpartition("/")[2]
    return before.removesuffix("s") if before != "activity" else before


class Examples:
    """Of one operation: `id` is that of the noun it is about."""

    def __init__(self, schemas: dict[str, Schema], noun: str) -> None:
        self._schemas = schemas
        self._id = f"{PREFIXES.get(noun, 'cnt')}_{SUFFIX}"

    def of(self, schema: Schema, name: str, depth: int = 0) -> Any:
        """None where the schema allows nothing else, or nothing is known."""
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        if schema.get("examples"):
            return schema["examples"][0]
        for key in ("example", "const"):
            if key in schema:
                return schema[key]
        if name == "id":
            return self._id
        if schema.get("enum"):
            return schema["enum"][0]
        if name in KNOWN and fits(KNOWN[name], schema):
            return KNOWN[name]
        for choice in ("anyOf", "oneOf", "allOf"):
            for one in schema.get(choice, ()):
                if one.get("type") != "null":
                    return self.of(one, name, depth)
        if "default" in schema:
            return schema["default"]
        return self._of_type(schema, name, depth)

    def _of_type(self, schema: Schema, name: str, depth: int) -> Any:
        kind = schema.get("type")
        if kind == "object" or "properties" in schema:
            if depth >= DEEPEST:
                return {}
            return {key: self.of(one, key, depth + 1) for key, one in schema.get("properties", {}).items()}
        if kind == "array":
            if depth >= DEEPEST or "items" not in schema:
                return []
            one = self.of(schema["items"], name.removesuffix("s"), depth + 1)
            return [one] if one is not None else []
        if kind == "string":
            return MOMENT if schema.get("format") == "date-time" else None if name in NULLABLE else name or "text"
        return {"integer": max(1, schema.get("minimum", 1)), "number": 1.0, "boolean": True}.get(str(kind))


# A text that is there only when something went wrong is better not made up.
NULLABLE = frozenset({"error", "status_reason", "reason"})


def fits(value: Any, schema: Schema) -> bool:
    """Whether a value is of a type that the schema names."""
    kinds = {schema.get("type"), *(one.get("type") for one in schema.get("anyOf", ()))}
    if value is None:
        return "null" in kinds
    patterns = [one["pattern"] for one in [schema, *schema.get("anyOf", ())] if "pattern" in one]
    if isinstance(value, str) and any(re.search(pattern, value) is None for pattern in patterns):
        return False
    if isinstance(value, list) and value:
        items: Schema = next((one["items"] for one in [schema, *schema.get("anyOf", ())] if "items" in one), {})
        return "array" in kinds and items.get("type", "string") == "string" and isinstance(value[0], str)
    names = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
    return names[type(value)] in kinds
