"""What points at pods points at the right ones, at ports that they have, and at objects that exist."""

import itertools
from pathlib import Path

import pytest

from tests.helm.rendering import (
    NAMESPACE,
    Object,
    containers,
    deployments,
    environment,
    every_values,
    main_container,
    named,
    of_kind,
    pods,
    render_file,
    selects,
)

VALUES = [pytest.param(path, id=path.stem) for path in every_values()]


def workloads(objects: list[Object]) -> list[Object]:
    return of_kind(objects, "Deployment", "StatefulSet")


@pytest.mark.parametrize("values", VALUES)
def test_a_workload_selects_its_own_pods_and_no_others(values: Path) -> None:
    everyone = workloads(list(render_file(values)))
    for one, other in itertools.product(everyone, everyone):
        labels = other["spec"]["template"]["metadata"]["labels"]
        assert selects(one["spec"]["selector"], labels) is (one is other), (one["metadata"], other["metadata"])


@pytest.mark.parametrize("values", VALUES)
def test_a_service_finds_pods_with_its_ports(values: Path) -> None:
    objects = render_file(values)
    everyone = list(pods(objects))
    for service in of_kind(objects, "Service"):
        name = service["metadata"]["name"]
        found = [
            pod
            for _, pod in everyone
            if selects({"matchLabels": service["spec"]["selector"]}, pod["metadata"]["labels"])
        ]
        assert len(found) == (8 if name.endswith("-ops") else 1), name
        for pod in found:
            ports = {port["name"] for container in containers(pod) for port in container.get("ports", [])}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, name


@pytest.mark.parametrize("values", VALUES)
def test_a_target_is_the_headless_service_that_the_callee_listens_behind(values: Path) -> None:
    objects = render_file(values)
    for name, deployment in deployments(objects).items():
        given = environment(main_container(deployment))
        for callee in ("contacts", "segments", "campaigns"):
            entry = given.get(f"CARILLON_{callee.upper()}_TARGET")
            if entry is None:
                continue
            scheme, _, host = entry["value"].partition(":///")
            host, _, port = host.partition(":")
            service, namespace, kind, _ = host.split(".", 3)
            assert (scheme, namespace, kind) == ("dns", NAMESPACE, "svc"), name
            pointed = named(objects, "Service", service)["spec"]
            assert pointed["clusterIP"] == "None", name
            assert pointed["selector"]["app.kubernetes.io/component"] == callee, name
            assert pointed["ports"][0]["port"] == int(port), name
            listens = environment(main_container(deployments(objects)[callee]))["CARILLON_GRPC_BIND"]["value"]
            # A headless Service translates no port: the pod has to listen on it.
            assert listens.endswith(f":{port}"), name


@pytest.mark.parametrize("values", VALUES)
def test_a_disruption_budget_and_a_scaler_are_of_a_deployment(values: Path) -> None:
    objects = render_file(values)
    everyone = deployments(objects)
    for budget in of_kind(objects, "PodDisruptionBudget"):
        component = budget["metadata"]["labels"]["app.kubernetes.io/component"]
        assert budget["spec"]["selector"] == everyone[component]["spec"]["selector"]
        # With one replica minAvailable 1 would hold up the draining of a node for ever.
        assert budget["spec"]["maxUnavailable"] == 1
    for scaler in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject"):
        named(objects, "Deployment", scaler["spec"]["scaleTargetRef"]["name"])


@pytest.mark.parametrize("values", VALUES)
def test_who_is_scaled_by_another_says_no_number_of_its_own(values: Path) -> None:
    objects = render_file(values)
    scaled = {
        each["spec"]["scaleTargetRef"]["name"] for each in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject")
    }
    for deployment in deployments(objects).values():
        name = deployment["metadata"]["name"]
        assert ("replicas" in deployment["spec"]) is (name not in scaled), name


@pytest.mark.parametrize("values", VALUES)
def test_the_pods_are_those_of_the_release_and_their_account_exists(values: Path) -> None:
    objects = render_file(values)
    accounts = {each["metadata"]["name"] for each in of_kind(objects, "ServiceAccount")}
    for name, pod in pods(objects):
        assert pod["metadata"]["labels"]["app.kubernetes.io/instance"] == "carillon", name
        assert not accounts or pod["spec"]["serviceAccountName"] in accounts, name
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("values", VALUES)
def test_a_configmap_that_is_ours_exists_with_its_key(values: Path) -> None:
    objects = render_file(values)
    for name, pod in pods(objects):
        for container in containers(pod):
            for entry in container.get("env", []):
                asked = entry.get("valueFrom", {}).get("configMapKeyRef")
                if asked:
                    assert asked["key"] in named(objects, "ConfigMap", asked["name"])["data"], name


@pytest.mark.parametrize("values", VALUES)
def test_the_way_in_leads_to_the_gateway_alone(values: Path) -> None:
    objects = render_file(values)
    backends = [
        path["backend"]["service"]["name"]
        for ingress in of_kind(objects, "Ingress")
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    assert set(backends) <= {"carillon-gateway"}
    assert [port["name"] for port in named(objects, "Service", "carillon-gateway")["spec"]["ports"]] == ["http"]
