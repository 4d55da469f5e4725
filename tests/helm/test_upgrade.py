"""An upgrade in place: Kubernetes refuses to change some fields, and what is renamed loses its place.

`released/VERSION.json` holds what a released chart rendered of those fields; a release adds a file and changes none:
    python -m tests.helm.released
"""

import json
from pathlib import Path

import pytest

from tests.helm.released import FOLDER, IMMUTABLE, immutable
from tests.helm.rendering import CHART, every_values, of_kind, render, render_file

RELEASED = [pytest.param(path, id=path.stem) for path in sorted(FOLDER.glob("*.json"))]
MINIMAL = ("--values", str(CHART / "ci" / "minimal-values.yaml"))


def test_there_is_a_release_to_come_from() -> None:
    assert RELEASED


@pytest.mark.parametrize("released", RELEASED)
def test_what_kubernetes_lets_nobody_change_is_as_it_was_released(released: Path) -> None:
    known = json.loads(released.read_text())
    assert {values: immutable(render_file(CHART / "ci" / values)) for values in known} == known


def jobs(*arguments: str) -> dict[str, object]:
    return {each["metadata"]["name"]: each["spec"] for each in of_kind(render(*MINIMAL, *arguments), "Job")}


@pytest.mark.parametrize(
    "changed",
    [
        "image.tag=0.2.0",
        "image.digest=sha256:" + 64 * "0",
        "migrations.backoffLimit=3",
        "secrets.contacts.existingSecret=other,secrets.segments.existingSecret=other,"
        "secrets.campaigns.existingSecret=other,secrets.gateway.existingSecret=other",
        "podSecurityContext.runAsUser=20000",
    ],
    ids=["tag", "digest", "retries", "secrets", "user"],
)
def test_a_migration_that_does_something_else_is_another_job(changed: str) -> None:
    """A Job cannot be changed: under its old name the upgrade would be refused."""
    before, after = jobs(), jobs("--set", changed)
    assert not before.keys() & after.keys()


def test_a_change_that_does_not_concern_the_migrations_runs_none() -> None:
    assert jobs() == jobs("--set", "components.gateway.replicas=7,networkPolicy.enabled=false")


@pytest.mark.parametrize("values", [pytest.param(path, id=path.stem) for path in every_values()])
def test_every_kind_that_has_unchangeable_fields_is_looked_at(values: Path) -> None:
    kinds = {each["kind"] for each in render_file(values)}
    assert kinds - IMMUTABLE.keys() <= {
        "ConfigMap", "HTTPRoute", "HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy", "Pod",
        "PodDisruptionBudget", "PrometheusRule", "ScaledObject", "Secret", "ServiceAccount", "ServiceMonitor",
    }  # fmt: skip
