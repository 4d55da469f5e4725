"""`python -m tests.helm.released`: keeps, for this version of the chart, the fields that an upgrade cannot change."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.helm.rendering import CHART, Object, render_file

FOLDER = Path(__file__).parent / "released"
RENDERED = ("minimal-values.yaml", "dev-values.yaml")
# By kind: the paths that Kubernetes lets nobody change.
IMMUTABLE = {
    "Deployment": ("spec.selector",),
    "Service": ("spec.clusterIP", "spec.selector"),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"),
}


def immutable(objects: Sequence[Object]) -> dict[str, Any]:
    """Kind and name → path → what is there."""
    return {
        f"{each['kind']} {each['metadata']['name']}": {path: at(each, path) for path in IMMUTABLE[each["kind"]]}
        for each in objects
        if each["kind"] in IMMUTABLE
    }


def at(thing: Any, path: str) -> Any:
    for part in path.split("."):
        thing = thing.get(part) if isinstance(thing, dict) else None
    return thing


def main() -> int:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    file = FOLDER / f"{version}.json"
    if file.exists():
        print(f"{file} is there: {version} was released; give the chart a new version first", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    known = {values: immutable(render_file(CHART / "ci" / values)) for values in RENDERED}
    file.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
