"""The env file: where a stack is, for shells (`. .carillon/env`) and scripts."""

import shlex

from deploy.local import nats, postgres, processes
from deploy.local.databases import SERVICES
from deploy.local.files import write_private
from deploy.local.home import Home
from deploy.local.state import State


def values(home: Home, state: State) -> dict[str, str]:
    """CARILLON_API_KEY is empty until the demo account has been made. The metrics URLs are parted by spaces."""
    database = postgres.prepare(home.postgres)
    broker = nats.prepare(home.nats, port=state.ports["nats"], monitor_port=state.ports["nats-monitor"])
    metrics = [
        f"http://{processes.address(state.ports[f'{name}-ops'])}/metrics"
        for name in (*processes.SERVING, *processes.WORKING)
    ]
    urls = {
        "CARILLON_URL": processes.gateway_url(state),
        "CARILLON_API_KEY": state.api_key,
        "CARILLON_NATS_URL": broker.url,
        "CARILLON_CARRIER_URL": processes.carrier_url(state),
        "CARILLON_METRICS_URLS": " ".join(metrics),
    }
    for service in SERVICES:
        urls[f"CARILLON_{service.upper()}_DATABASE_URL"] = database.url(state.ports["postgres"], service)
    return urls


def write(home: Home, state: State) -> None:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values(home, state).items()]
    write_private(home.env, "\n".join(lines) + "\n")
