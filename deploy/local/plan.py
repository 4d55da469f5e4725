"""What the supervisor is to run: written by `up`, read by the supervisor at its start and at each SIGHUP."""

import json
from dataclasses import asdict, dataclass

from deploy.local.files import write_private
from deploy.local.home import Home
from deploy.local.processes import Spec


@dataclass(frozen=True, slots=True)
class Plan:
    """`restart` false: a process that ends stays down until the next `up` (CARILLON_SUPERVISE=0)."""

    specs: dict[str, Spec]
    restart: bool = True


def write(home: Home, plan: Plan) -> None:
    write_private(home.plan, json.dumps(asdict(plan)))


def read(home: Home) -> Plan:
    known = json.loads(home.plan.read_text())
    return Plan({name: Spec(**spec) for name, spec in known["specs"].items()}, known["restart"])
