"""The chart and the code agree on the environment: no variable that nobody reads, none missing, the same bounds."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chassis.config import Settings
from tests.helm import settings
from tests.helm.rendering import (
    CHART,
    EXAMPLES,
    containers,
    deployments,
    environment,
    every_values,
    main_container,
    of_kind,
    pods,
    render,
    render_file,
)

VALUES = [pytest.param(path, id=path.stem) for path in every_values()]
KEY = b64encode(bytes(32)).decode()
# What the Secrets and ConfigMaps would hold.
REFERRED = {
    "CARILLON_DATABASE_URL": "postgresql://role:password@host:5432/database",
    "CARILLON_NATS_URL": "nats://user:password@host:4222",
    "CARILLON_TOKEN_PRIVATE_KEY": KEY,
    "CARILLON_TOKEN_PUBLIC_KEYS": json.dumps({"contacts": KEY}),
    "CARILLON_ERASURE_KEY": KEY,
    "CARILLON_SECRETS_KEYS": KEY,
}


def schema() -> Any:
    return json.loads((CHART / "values.schema.json").read_text())


def test_every_component_has_its_deployment_and_its_settings_class() -> None:
    assert deployments(render("--set", "dev.enabled=true")).keys() == settings.CLASSES.keys()


@pytest.mark.parametrize("values", VALUES)
def test_every_variable_is_read_by_somebody(values: Path) -> None:
    elsewhere = settings.read_directly() | settings.OF_LIBRARIES.keys()
    for name, deployment in deployments(render_file(values)).items():
        given = environment(main_container(deployment)).keys()
        assert given - settings.names(name) - elsewhere == set(), name


@pytest.mark.parametrize("values", VALUES)
def test_every_required_setting_is_given(values: Path) -> None:
    for name, deployment in deployments(render_file(values)).items():
        assert settings.required(name) - environment(main_container(deployment)).keys() == set(), name


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("component", settings.CLASSES)
def test_the_process_starts_with_what_it_is_given(
    values: Path, component: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = main_container(deployments(render_file(values))[component])
    for name, entry in environment(container).items():
        monkeypatch.setenv(name, entry["value"] if "value" in entry else REFERRED.get(name, "x"))
    made = settings.CLASSES[component]()  # type: ignore[call-arg]  # from the environment
    assert made.ops_bind.endswith(":9000")


@pytest.mark.parametrize("values", VALUES)
def test_who_waits_for_the_schema_and_who_migrates_has_the_database(values: Path) -> None:
    objects = render_file(values)
    for name, deployment in deployments(objects).items():
        (waits,) = deployment["spec"]["template"]["spec"]["initContainers"]
        process = main_container(deployment)
        assert waits["command"] == ["carillon-await-schema", process["args"][0]], name
        asked = environment(waits)["CARILLON_DATABASE_URL"]
        assert asked == environment(process)["CARILLON_DATABASE_URL"], name
        assert asked["valueFrom"]["secretKeyRef"]["key"] == f"database-{process['args'][1]}-url", name
    migrating = [one for job in of_kind(objects, "Job") for one in job["spec"]["template"]["spec"]["containers"]]
    assert len(migrating) == 4
    known = {settings.PREFIX + field.upper() for field in settings.MIGRATE.model_fields} | settings.OF_LIBRARIES.keys()
    for container in migrating:
        given = environment(container)
        assert given.keys() <= known
        assert given["CARILLON_DATABASE_URL"]["valueFrom"]["secretKeyRef"]["key"] == "database-owner-url"


@pytest.mark.parametrize("values", VALUES)
def test_the_owner_of_a_schema_is_known_to_who_migrates_it_and_backs_it_up_alone(values: Path) -> None:
    for name, pod in pods(render_file(values)):
        keys = [
            entry["valueFrom"]["secretKeyRef"]["key"]
            for container in containers(pod)
            for entry in container.get("env", [])
            if "secretKeyRef" in entry.get("valueFrom", {})
        ]
        assert ("database-owner-url" in keys) is name.startswith(("Job ", "CronJob ")), name


@pytest.mark.parametrize("component", settings.CLASSES)
def test_the_values_take_the_settings_of_the_code_with_its_bounds(component: str) -> None:
    """When this fails, put what is expected into values.schema.json: a setting was added, or its bounds changed."""
    assert schema()["definitions"][f"{component}-settings"] == settings.settings_schemas()[component]


def test_the_values_take_what_all_processes_share_with_its_bounds() -> None:
    assert schema()["properties"]["settings"] == settings.common_schema()


def test_numbers_are_written_so_that_they_can_be_read() -> None:
    """Helm holds numbers as floats: 5 GiB would be 5.36870912e+09, which is no integer."""
    full = render_file(CHART / "ci" / "full-values.yaml")
    given = environment(main_container(deployments(full)["gateway"]))
    assert given["CARILLON_UPLOAD_LIMIT_BYTES"]["value"] == "5368709120"
    assert given["CARILLON_KEY_CACHE_SECONDS"]["value"] == "0.5"


def test_a_tenth_of_the_traces_that_begin_here_is_recorded_unless_the_values_say_otherwise() -> None:
    """Read by OpenTelemetry's SDK, which records all where it finds neither."""
    for values, sampler, share in (
        (EXAMPLES / "production.yaml", "parentbased_traceidratio", "0.1"),
        (CHART / "ci" / "full-values.yaml", "traceidratio", "1"),
    ):
        for deployment in deployments(render_file(values)).values():
            given = environment(main_container(deployment))
            found = (given["OTEL_TRACES_SAMPLER"]["value"], given["OTEL_TRACES_SAMPLER_ARG"]["value"])
            assert found == (sampler, share)


def test_settings_without_a_default_have_none() -> None:
    """The other tests would say nothing if every setting had a default."""
    with pytest.raises(ValidationError):
        Settings()  # type: ignore[call-arg]
