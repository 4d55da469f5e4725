"""The chart is well formed, and every Kubernetes that it admits understands all of it."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.helm import schemas
from tests.helm.rendering import CHART, every_values, helm, render_file
from tests.helm.settings import ROOT

VALUES = [pytest.param(path, id=path.stem) for path in every_values()]


def test_there_is_a_chart_to_look_at() -> None:
    assert len(VALUES) >= 5


@pytest.mark.parametrize("values", VALUES)
def test_helm_finds_nothing_to_say(values: Path) -> None:
    done = helm("lint", "--strict", str(CHART), "--values", str(values))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", schemas.VERSIONS)
@pytest.mark.parametrize("values", VALUES)
def test_kubernetes_understands_every_field(values: Path, version: str) -> None:
    found = [fault for each in render_file(values) for fault in schemas.faults(each, version)]
    assert found == []


def test_the_oldest_kubernetes_is_the_one_that_the_chart_admits() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={schemas.VERSIONS[0]}.0-0"


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget"}, id="removed version"),
        pytest.param({"apiVersion": "v1", "kind": "Deploiment"}, id="unknown kind"),
        pytest.param({"apiVersion": "v1", "kind": "ConfigMap", "dta": {}}, id="unknown field"),
    ],
)
def test_what_kubernetes_does_not_know_is_found(wrong: dict[str, object]) -> None:
    assert list(schemas.faults(wrong | {"metadata": {"name": "x"}}, schemas.VERSIONS[0])) != []


@pytest.mark.parametrize("values", VALUES)
def test_no_object_is_made_twice_and_every_name_is_one(values: Path) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in render_file(values)]
    assert len(names) == len(set(names))
    for _, name in names:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name), name
        assert len(name) <= 63, name


def test_the_chart_deploys_the_version_of_the_code() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == project["version"]
