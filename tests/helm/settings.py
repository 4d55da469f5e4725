"""What the code reads from its environment, as the chart has to give it."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from chassis.config import MigrateSettings, Settings
from services.campaigns import config as campaigns
from services.contacts import config as contacts
from services.gateway import config as gateway
from services.segments import config as segments

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "CARILLON_"

CLASSES: dict[str, type[Settings]] = {
    "gateway": gateway.GatewaySettings,
    "gateway-work": gateway.WorkSettings,
    "contacts": contacts.ServeSettings,
    "contacts-work": contacts.WorkSettings,
    "segments": segments.ServeSettings,
    "segments-work": segments.WorkSettings,
    "campaigns": campaigns.ServeSettings,
    "campaigns-work": campaigns.WorkSettings,
}
MIGRATE = MigrateSettings
# Those that the values say once for all processes.
COMMON = ("log_level", "retention_hours", "cleaning_seconds")
# Those that the chart works out: where things listen and are, and what comes from Secrets.
WORKED_OUT = frozenset(
    {
        "database_url", "nats_url", "token_private_key", "token_public_keys", "erasure_key", "secrets_keys",
        "stream_replicas", "tls_cert", "tls_key", "tls_ca", "nats_ca",
        "ops_bind", "http_bind", "grpc_bind", "public_url", "contacts_target", "segments_target", "campaigns_target",
    }
)  # fmt: skip
# Read by libraries of ours rather than by us, with who reads them.
OF_LIBRARIES = {
    "PGSSLMODE": "asyncpg",
    "PGSSLROOTCERT": "asyncpg",
    "SSL_CERT_FILE": "OpenSSL",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "OpenTelemetry",
    "OTEL_EXPORTER_OTLP_HEADERS": "OpenTelemetry",
    "OTEL_RESOURCE_ATTRIBUTES": "OpenTelemetry",
    "OTEL_TRACES_SAMPLER": "OpenTelemetry",
    "OTEL_TRACES_SAMPLER_ARG": "OpenTelemetry",
    "POD_NAME": "Kubernetes, where it puts OTEL_RESOURCE_ATTRIBUTES together",
}
READ = re.compile(r"os\.environ(?:\.get\(|\[)\s*\"(\w+)\"")
# Of a JSON schema, what a reader of values needs; the rest (titles) says it again.
KEPT = ("type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "description")


@cache
def read_directly() -> frozenset[str]:
    """Variables that the code reads without a settings class."""
    sources = [path for folder in ("libs/chassis", "services") for path in (ROOT / folder).rglob("*.py")]
    return frozenset(name for path in sources for name in READ.findall(path.read_text()))


def names(component: str) -> set[str]:
    return {PREFIX + field.upper() for field in CLASSES[component].model_fields}


def required(component: str) -> set[str]:
    fields = CLASSES[component].model_fields
    return {PREFIX + name.upper() for name, field in fields.items() if field.is_required()}


def common_schema() -> dict[str, Any]:
    """Of `settings` in the values."""
    return schema(Settings, COMMON)


def settings_schemas() -> dict[str, dict[str, Any]]:
    """Of `components.NAME.settings` in the values, by name."""
    return {
        name: schema(cls, [field for field in cls.model_fields if field not in WORKED_OUT.union(COMMON)])
        for name, cls in CLASSES.items()
    }


def schema(cls: type[Settings], fields: Any) -> dict[str, Any]:
    described = cls.model_json_schema()["properties"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            field: {key: described[field][key] for key in KEPT if key in described[field]} for field in fields
        },
    }
