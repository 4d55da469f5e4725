"""What the supervisor is to run: written by `up`, read by the supervisor at its start and at each SIGHUP."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.local.files import write_private
from deploy.local.home import Home
from deploy.local.processes import Spec


@dataclass(frozen=True, slots=True)
class Plan:
    """`restart` false: a process that ends stays down until the next `up` (CARILLON_SUPERVISE=0)."""

    specs: dict[str, Spec]
    restart: bool = True


def acknowledgement(home: Home) -> Path:
    return home.plan.with_suffix(".taken")


def is_taken(home: Home) -> bool:
    path = acknowledgement(home)
    return path.exists() and path.read_text() == home.plan.read_text()


def write(home: Home, plan: Plan) -> None:
    write_private(home.plan, json.dumps(asdict(plan)))


def acknowledge(home: Home, text: str) -> None:
    """By the supervisor, once the plan that the text holds is in force, so that `up` knows."""
    write_private(acknowledgement(home), text)


def read(home: Home) -> Plan:
    return parse(home.plan.read_text())


def parse(text: str) -> Plan:
    known = json.loads(text)
    return Plan({name: Spec(**spec) for name, spec in known["specs"].items()}, known["restart"])
