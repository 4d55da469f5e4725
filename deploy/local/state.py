"""What a stack is made of once and keeps: its ports, passwords and keys. In state.json, readable by its owner only."""

import json
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.local import ports
from deploy.local.databases import ROLES, SERVICES
from deploy.local.files import write_private
from deploy.local.home import Home

DEFAULT_GATEWAY_PORT = 8080
# Everything that listens, apart from the gateway's public port: `-ops` is /metrics, /healthz and /readyz.
LISTENERS = (
    "postgres", "nats", "nats-monitor", "carrier",
    "contacts-grpc", "segments-grpc", "campaigns-grpc", "gateway-grpc",
    *(f"{service}-ops" for service in SERVICES), *(f"{service}-work-ops" for service in SERVICES),
)  # fmt: skip


@dataclass(slots=True)
class State:
    gateway_port: int = DEFAULT_GATEWAY_PORT
    ports: dict[str, int] = field(default_factory=dict)
    # Database passwords, service → role → password.
    passwords: dict[str, dict[str, str]] = field(default_factory=dict)
    # Ed25519 seeds and public keys, base64, by service.
    private_keys: dict[str, str] = field(default_factory=dict)
    public_keys: dict[str, str] = field(default_factory=dict)
    # The Fernet key under which campaigns keeps the senders' secrets.
    secrets_key: str = ""
    # The one under which the gateway keeps the webhooks' secrets.
    webhooks_key: str = ""
    # With which contacts hashes the addresses of deleted contacts.
    erasure_key: str = ""
    # What was last migrated, by service; see migrate.mark.
    migrated: dict[str, str] = field(default_factory=dict)
    # Of the demo account; empty until the first start has made it.
    api_key: str = ""
    # Where the demo account's senders send; it moves when the carrier had to take another port.
    demo_carrier: str = ""

    def save(self, home: Home) -> None:
        write_private(home.state, json.dumps(asdict(self), indent=2) + "\n")


def load(home: Home) -> State:
    """With everything that is missing made; the caller saves it."""
    state = State(**json.loads(home.state.read_text())) if home.state.exists() else State()
    for service in SERVICES:
        passwords = state.passwords.setdefault(service, {})
        for role in ROLES:
            passwords.setdefault(role, secrets.token_urlsafe(24))
        if service not in state.private_keys:
            key = Ed25519PrivateKey.generate()
            state.private_keys[service] = b64encode(key.private_bytes_raw()).decode()
            state.public_keys[service] = b64encode(key.public_key().public_bytes_raw()).decode()
    state.secrets_key = state.secrets_key or urlsafe_b64encode(secrets.token_bytes(32)).decode()
    state.webhooks_key = state.webhooks_key or urlsafe_b64encode(secrets.token_bytes(32)).decode()
    state.erasure_key = state.erasure_key or b64encode(secrets.token_bytes(32)).decode()
    return state


def choose_ports(home: Home, state: State, *, running: bool, environ: Mapping[str, str]) -> None:
    """Give each listener a port. They are kept; one that somebody else took while the stack was down is replaced.

    Raises OSError when the gateway's port, which people know by heart, cannot be had.
    """
    asked = int(environ.get("CARILLON_PORT") or state.gateway_port)
    if running and asked != state.gateway_port:
        raise OSError(f"the stack runs on port {state.gateway_port}; `make down` first to move it to {asked}")
    if not running and not ports.is_free(asked):
        raise OSError(f"port {asked} is in use by another program; CARILLON_PORT=9080 make up takes another")
    state.gateway_port = asked
    if not state.ports:
        state.ports = dict(zip(LISTENERS, ports.block(str(home.folder), len(LISTENERS)), strict=True))
    for name in LISTENERS:
        if name not in state.ports or (not running and not ports.is_free(state.ports[name])):
            state.ports[name] = ports.choose(frozenset(state.ports.values()) | {asked})
