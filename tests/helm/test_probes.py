"""Probes ask what the processes answer, and a stop is given the time that it takes."""

from pathlib import Path

import pytest

from chassis.runner import Ops, Process
from tests.helm.rendering import deployments, environment, every_values, main_container, render_file

VALUES = [pytest.param(path, id=path.stem) for path in every_values()]


def routes() -> set[str]:
    """What the processes answer on their ops port."""
    application = Ops(Process("x", "127.0.0.1:0"), "127.0.0.1:0")._runner.app
    return {resource.canonical for resource in application.router.resources()}


@pytest.mark.parametrize("values", VALUES)
def test_probes_ask_what_is_answered_where_it_is_answered(values: Path) -> None:
    for name, deployment in deployments(render_file(values)).items():
        container = main_container(deployment)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["port"] == "ops", name
            assert asked["path"] in routes(), name
        bind = environment(container)["CARILLON_OPS_BIND"]["value"]
        assert bind.endswith(f":{ports['ops']}"), name


@pytest.mark.parametrize("values", VALUES)
def test_only_readiness_knows_the_database(values: Path) -> None:
    for name, deployment in deployments(render_file(values)).items():
        container = main_container(deployment)
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz", name
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", name
        assert container["startupProbe"]["httpGet"]["path"] == "/healthz", name


@pytest.mark.parametrize("values", VALUES)
def test_a_stop_has_time_for_the_drain_and_the_requests_under_way(values: Path) -> None:
    for name, deployment in deployments(render_file(values)).items():
        drain = int(environment(main_container(deployment))["CARILLON_DRAIN_SECONDS"]["value"])
        grace = int(environment(main_container(deployment))["CARILLON_GRACE_SECONDS"]["value"])
        spec = deployment["spec"]["template"]["spec"]
        assert spec["terminationGracePeriodSeconds"] >= drain + grace + 15, name


@pytest.mark.parametrize("values", VALUES)
def test_who_serves_drains_longer_than_it_takes_to_be_seen_unready(values: Path) -> None:
    for name, deployment in deployments(render_file(values)).items():
        container = main_container(deployment)
        drain = int(environment(container)["CARILLON_DRAIN_SECONDS"]["value"])
        serves = {"http", "grpc"} & {port["name"] for port in container["ports"]}
        # Kubernetes takes a pod that it ends out of its Services at once; the rest is for the news to get round.
        assert (drain >= 5) is bool(serves), name
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0, name
