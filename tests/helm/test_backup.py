"""Backups by the clock, and the taking up of databases that were restored: nothing else runs meanwhile."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest

from deploy.local.databases import SERVICES
from tests.helm import schemas
from tests.helm.rendering import (
    CHART,
    Object,
    containers,
    deployments,
    environment,
    named,
    of_kind,
    render,
    render_file,
)

CI = CHART / "ci"
AT = "2026-11-29T10:15:00"
BACKUP = ("--values", str(CI / "restore-values.yaml"))
OTHERWISE = ("--values", str(CI / "minimal-values.yaml"), "--set", f"restore.at={AT}")
RESTORING = [pytest.param(BACKUP, id="a backup"), pytest.param(OTHERWISE, id="by other means")]


def job(objects: Sequence[Object]) -> Object:
    (found,) = of_kind(objects, "Job")
    return found


def scripts(objects: Sequence[Object]) -> dict[str, str]:
    return {each["name"]: each["args"][0] for each in job(objects)["spec"]["template"]["spec"]["containers"]}


@pytest.mark.parametrize("values", RESTORING)
def test_nothing_runs_until_the_databases_are_taken_up(values: tuple[str, ...]) -> None:
    objects = render(*values)
    assert {each["spec"]["replicas"] for each in deployments(objects).values()} == {0}
    assert of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject") == []
    assert [each["spec"]["suspend"] for each in of_kind(objects, "CronJob")] in ([], [True])


@pytest.mark.parametrize("values", RESTORING)
def test_each_service_is_migrated_and_then_taken_up_by_commands_that_there_are(values: tuple[str, ...]) -> None:
    found = scripts(render(*values))
    assert found.keys() == set(SERVICES)
    for service, script in found.items():
        first, second = script.splitlines()
        assert first == f"carillon {service} migrate"
        assert second.startswith(f"carillon {service} after-restore")
        known = {each.name for each in import_module(f"services.{service}.__main__").cli.registered_commands}
        assert "after-restore" in known
        assert ("--at" in second) is (service == "campaigns")


def test_the_moment_is_the_backups_unless_it_is_given() -> None:
    assert "/backups/20261129T021700Z/backup.txt" in scripts(render(*BACKUP))["campaigns"]
    assert scripts(render(*OTHERWISE))["campaigns"].splitlines()[1].endswith(f"--at {AT}")


def test_a_backup_is_restored_first_and_what_was_restored_otherwise_is_left_as_it_is() -> None:
    (first,) = job(render(*BACKUP))["spec"]["template"]["spec"]["initContainers"]
    assert first["command"] == ["bash", "/scripts/restore.sh", "/backups/20261129T021700Z"]
    assert "initContainers" not in job(render(*OTHERWISE))["spec"]["template"]["spec"]


@pytest.mark.parametrize("script", ["backup.sh", "restore.sh"])
def test_the_scripts_are_those_that_are_tested_and_find_every_database(script: str) -> None:
    objects = render(*BACKUP)
    mounted = named(objects, "ConfigMap", "carillon-backup")["data"]
    assert mounted[script] == (CHART / "files" / script).read_text()
    assert 'services="gateway segments contacts campaigns"' in mounted["databases.sh"]
    backing_up = of_kind(objects, "CronJob")[0]["spec"]["jobTemplate"]["spec"]["template"]
    for container in (containers(backing_up)[0], containers(job(objects)["spec"]["template"])[0]):
        urls = {name for name in environment(container) if name.endswith("_DATABASE_URL")}
        assert urls == {f"CARILLON_{service.upper()}_DATABASE_URL" for service in SERVICES}
        # As every other pod that reaches the databases.
        assert environment(container)["PGSSLMODE"]["value"] == "verify-full"


@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_kubernetes_understands_it(version: str) -> None:
    assert [fault for each in render(*OTHERWISE) for fault in schemas.faults(each, version)] == []


def test_without_restore_all_is_as_it_was() -> None:
    minimal: Path = CI / "minimal-values.yaml"
    assert {each["spec"]["replicas"] for each in deployments(render_file(minimal)).values()} == {2}
    assert len(of_kind(render_file(minimal), "Job")) == 4
