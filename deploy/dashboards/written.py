"""The files in the chart, one for each dashboard."""

import json
from pathlib import Path

from deploy.dashboards import campaigns, contacts, databases, events, gateway, grpc, overview, segments
from deploy.dashboards.grafana import render

FOLDER = Path(__file__).resolve().parents[1] / "helm" / "carillon" / "files" / "dashboards"
DASHBOARDS = (
    overview.DASHBOARD,
    gateway.DASHBOARD,
    grpc.DASHBOARD,
    contacts.DASHBOARD,
    segments.DASHBOARD,
    campaigns.DASHBOARD,
    events.DASHBOARD,
    databases.DASHBOARD,
)


def files() -> dict[str, str]:
    """Text by file name."""
    return {
        f"{dashboard.uid.removeprefix('carillon-')}.json": json.dumps(render(dashboard), indent=1) + "\n"
        for dashboard in DASHBOARDS
    }


def write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = files()
    for path in FOLDER.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text)


def differences() -> list[str]:
    """Names of files that are missing, differ, or should not be there."""
    made = files()
    found = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    return sorted(name for name in made.keys() | found.keys() if made.get(name) != found.get(name))
