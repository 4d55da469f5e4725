"""The processes of a stack: what each runs, with what environment, how it is asked whether it is ready."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.local import nats, ports, postgres
from deploy.local.databases import SERVICES
from deploy.local.home import REPOSITORY, Home
from deploy.local.state import State

INFRASTRUCTURE = ("postgres", "nats", "carrier")
SERVING = SERVICES
WORKING = tuple(f"{service}-work" for service in SERVICES)
ALL = (*INFRASTRUCTURE, *SERVING, *WORKING)
# Those of one row are stopped together, before the next row: callers before those they call.
STOP_ORDER = (("gateway",), WORKING, ("contacts", "segments", "campaigns"), ("carrier",), ("nats",), ("postgres",))
# Names that a shell may hold for another stack (from its env file) and that must not reach this one's processes.
NOT_INHERITED = (
    # This would have each process compile all it imports at every start.
    "PYTHONDONTWRITEBYTECODE",
    "CARILLON_HOME", "CARILLON_PORT", "CARILLON_SUPERVISE", "CARILLON_URL", "CARILLON_API_KEY", "CARILLON_NATS_URL",
    "CARILLON_CARRIER_URL", "CARILLON_METRICS_URLS",
    *(f"CARILLON_{service.upper()}_DATABASE_URL" for service in SERVICES),
)  # fmt: skip
# Marks every process of a stack, and those that they start in turn, as belonging to the stack in that folder.
TAG = "CARILLON_STACK"


@dataclass(frozen=True, slots=True)
class Spec:
    """One process. `env` is complete: nothing is inherited from whoever starts it."""

    name: str
    command: list[str]
    env: dict[str, str] = field(repr=False)
    # An URL that answers 200 once the process is ready; of Postgres, the superuser's database URL.
    ready: str
    # One that must answer too, whatever it answers: the gateway's public port.
    answers: str | None = None
    folder: str = str(REPOSITORY)
    uid: int | None = None
    gid: int | None = None
    # The data folder, for Postgres: a killed server's children must be gone before the next one starts.
    data: str | None = None


def specs(home: Home, state: State, *, environ: Mapping[str, str] = os.environ) -> dict[str, Spec]:
    """Every process by name, in the order of starting. Prepares the folders of Postgres and NATS."""
    database = postgres.prepare(home.postgres)
    broker = nats.prepare(home.nats, port=state.ports["nats"], monitor_port=state.ports["nats-monitor"])
    inherited = environment(home, environ)
    made = [
        Spec(
            "postgres",
            database.command(state.ports["postgres"]),
            inherited,
            database.url(state.ports["postgres"]),
            folder="/",
            uid=database.user.uid,
            gid=database.user.gid,
            data=str(database.data),
        ),
        Spec("nats", broker.command(), inherited, broker.health_url),
        carrier(home, state, inherited),
    ]
    for service in SERVICES:
        for mode in ("serve", "work"):
            settings = service_settings(state, service, mode=mode, nats_url=broker.url)
            name = service if mode == "serve" else f"{service}-work"
            ready = f"http://{settings['CARILLON_OPS_BIND']}/readyz"
            answers = gateway_url(state) if name == "gateway" else None
            made.append(Spec(name, carillon(service, mode), inherited | settings, ready, answers))
    by_name = {spec.name: spec for spec in made}
    return {name: by_name[name] for name in ALL}


def carillon(service: str, command: str) -> list[str]:
    return [sys.executable, "-m", "services.cli", service, command]


def carrier(home: Home, state: State, inherited: Mapping[str, str]) -> Spec:
    url = carrier_url(state)
    command = [
        sys.executable, "-m", "deploy.local.carrier",
        "--port", str(state.ports["carrier"]), "--folder", str(home.carrier),
    ]  # fmt: skip
    return Spec("carrier", command, dict(inherited), f"{url}/control")


def carrier_url(state: State) -> str:
    return f"http://{ports.HOST}:{state.ports['carrier']}"


def gateway_url(state: State) -> str:
    return f"http://{ports.HOST}:{state.gateway_port}"


def database_url(state: State, service: str, role: str) -> str:
    return postgres.url(
        state.ports["postgres"], service, user=f"{service}_{role}", password=state.passwords[service][role]
    )


def environment(home: Home, environ: Mapping[str, str]) -> dict[str, str]:
    """What every process gets of the caller's environment (say OTEL_EXPORTER_OTLP_ENDPOINT)."""
    kept = {name: value for name, value in environ.items() if name not in NOT_INHERITED}
    # gRPC and others would send calls between the processes through a proxy.
    direct = ",".join(filter(None, [environ.get("no_proxy") or environ.get("NO_PROXY"), ports.HOST, "localhost"]))
    return kept | {"no_proxy": direct, "NO_PROXY": direct, "PYTHONUNBUFFERED": "1", TAG: str(home.folder)}


def service_settings(state: State, service: str, *, mode: str, nats_url: str) -> dict[str, str]:
    """The settings of one process; `mode` is serve, work or migrate."""
    role = {"serve": "serve", "work": "work", "migrate": "owner"}[mode]
    listener = service if mode == "serve" else f"{service}-{mode}"
    settings = {"DATABASE_URL": database_url(state, service, role)}
    if mode == "migrate":
        return prefixed(settings)
    settings |= {
        "NATS_URL": nats_url,
        "OPS_BIND": address(state.ports[f"{listener}-ops"]),
        "TOKEN_PRIVATE_KEY": state.private_keys[service],
        "TOKEN_PUBLIC_KEYS": json.dumps(state.public_keys),
        "PUBLIC_URL": gateway_url(state),
    }
    settings |= {f"{name.upper()}_TARGET": address(state.ports[f"{name}-grpc"]) for name in SERVICES}
    if mode == "serve":
        settings["GRPC_BIND"] = address(state.ports[f"{service}-grpc"])
    if mode == "work" and service in ("segments", "gateway"):
        # All share a few processors.
        settings["BULK_SHARE"] = "0.1"
    if service == "contacts":
        settings["ERASURE_KEY"] = state.erasure_key
    if service == "gateway":
        settings["HTTP_BIND"] = address(state.gateway_port)
        settings["SECRETS_KEYS"] = state.webhooks_key
        # Whoever tries webhooks out here receives them here.
        settings["WEBHOOK_PRIVATE_ADDRESSES"] = "true"
    if service == "campaigns":
        settings["SECRETS_KEYS"] = state.secrets_key
        # The carrier simulator, and whatever else of a provider is tried out here.
        settings["PROVIDER_NETWORKS"] = "127.0.0.0/8,::1/128"
    return prefixed(settings)


def prefixed(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"CARILLON_{name}": value for name, value in settings.items()}


def address(port: int) -> str:
    return f"{ports.HOST}:{port}"
