"""What `helm template` makes of the chart, as parsed objects."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.settings import ROOT

CHART = ROOT / "deploy" / "helm" / "carillon"
EXAMPLES = ROOT / "deploy" / "helm" / "values"
NAMESPACE = "messaging"
RELEASE = "carillon"
Object = dict[str, Any]


def every_values() -> list[Path]:
    """Each file renders a whole installation: those for CI, and the example for production."""
    return [*sorted((CHART / "ci").glob("*-values.yaml")), EXAMPLES / "production.yaml"]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    beside = Path(sys.executable).parent / "helm"
    program = str(beside) if beside.exists() else shutil.which("helm")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("helm is missing")
        pytest.skip("there is no helm wheel for this kind of machine, and no helm on PATH")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def template(*arguments: str) -> subprocess.CompletedProcess[str]:
    return helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *arguments)


@cache
def render(*arguments: str) -> Sequence[Object]:
    """The objects, which nobody changes: they are the same for all tests."""
    done = template(*arguments)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if each]


def render_file(values: Path) -> Sequence[Object]:
    return render("--values", str(values))


def of_kind(objects: Sequence[Object], *kinds: str) -> list[Object]:
    return [each for each in objects if each["kind"] in kinds]


def named(objects: Sequence[Object], kind: str, name: str) -> Object:
    (found,) = [each for each in of_kind(objects, kind) if each["metadata"]["name"] == name]
    return found


def pods(objects: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    """(what it is, spec and metadata) of every pod that the objects make."""
    for each in objects:
        if each["kind"] == "Pod":
            yield f"Pod {each['metadata']['name']}", each
        elif each["kind"] == "CronJob":
            yield f"CronJob {each['metadata']['name']}", each["spec"]["jobTemplate"]["spec"]["template"]
        elif "template" in each.get("spec", {}):
            yield f"{each['kind']} {each['metadata']['name']}", each["spec"]["template"]


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def deployments(objects: Sequence[Object]) -> dict[str, Object]:
    """By component."""
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in of_kind(objects, "Deployment")}


def main_container(deployment: Object) -> Object:
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment(container: Object) -> dict[str, Object]:
    entries = container.get("env", [])
    found = {entry["name"]: entry for entry in entries}
    assert len(found) == len(entries), f"named twice in {container['name']}"
    return found


def selects(selector: Object, labels: Object) -> bool:
    """A LabelSelector; an empty one selects everything."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In", expression
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True
