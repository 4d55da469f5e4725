"""The demo account of the first start, with a sender for SMS and one for email wired to the carrier simulator.

Made through the front door: the account by the gateway's own command, the senders by the public API with its key.
"""

import json
import os
import subprocess
import urllib.error
import urllib.request
from typing import Any

from deploy.local import processes
from deploy.local.home import REPOSITORY, Home
from deploy.local.readiness import DIRECT
from deploy.local.state import State

NAME = "demo"
SENDERS = (
    {"name": "Demo SMS", "channel": "sms", "address": "CARILLON"},
    {"name": "Demo email", "channel": "email", "address": "hello@carillon.example"},
)
CALL_SECONDS = 30.0
# The answer when the database was lost and the key with it.
UNKNOWN_KEY = object()


class AccountFailed(Exception):
    """The message carries what the command or the API said."""


def make(home: Home, state: State) -> None:
    """Safe to repeat after a crash at any point: the key is kept as soon as it is known, senders are looked for."""
    if not state.api_key or call(state, "GET", "/v1/senders?limit=1") is UNKNOWN_KEY:
        state.api_key = create_account(home, state, NAME)
        state.save(home)
    existing = {sender["name"]: sender for sender in call(state, "GET", "/v1/senders?limit=100")["data"]}
    settings = {"url": f"{processes.carrier_url(state)}/messages"}
    for sender in SENDERS:
        made = existing.get(sender["name"])
        if made is None:
            call(state, "POST", "/v1/senders", sender | {"provider": "http", "settings": settings, "is_default": True})
        elif made["settings"] != settings:
            call(state, "PUT", f"/v1/senders/{made['id']}", {"settings": settings})
    state.demo_carrier = processes.carrier_url(state)
    state.save(home)


def create_account(home: Home, state: State, name: str) -> str:
    """The API key of a new account; it is shown this once and stored hashed."""
    settings = processes.service_settings(state, "gateway", mode="migrate", nats_url="")
    done = subprocess.run(
        [*processes.carillon("accounts", "create"), name],
        cwd=REPOSITORY,
        env=processes.environment(home, os.environ) | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    key = done.stdout.strip().rpartition("\n")[2].strip()
    if done.returncode != 0 or not key.startswith("ck_"):
        raise AccountFailed(f"the account {name!r} could not be made:\n{(done.stdout + done.stderr).strip()[-2000:]}")
    return key


def call(state: State, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(
        processes.gateway_url(state) + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {state.api_key}", "Content-Type": "application/json"},
    )
    try:
        with DIRECT.open(request, timeout=CALL_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 401:
            return UNKNOWN_KEY
        raise AccountFailed(f"{method} {path} answered {error.code}: {error.read().decode()[:1000]}") from error
