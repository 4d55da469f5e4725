"""Who may connect to whom, worked out from the rendered policies as Kubernetes does: both ends have to allow it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helm.rendering import (
    CHART,
    Object,
    deployments,
    environment,
    every_values,
    main_container,
    of_kind,
    pods,
    render_file,
    selects,
)

VALUES = [
    pytest.param(path, id=path.stem)
    for path in every_values()
    # It has no policies.
    if path.stem != "cluster-picks-users-values"
]
CALLERS = {
    "contacts": {"gateway", "segments-work", "campaigns", "campaigns-work"},
    "segments": {"gateway", "contacts-work", "campaigns", "campaigns-work"},
    "campaigns": {"gateway", "contacts-work"},
}


def rules(objects: list[Object], labels: Object, *, way: str) -> Iterator[Object]:
    """The rules that hold for a pod: `way` is ingress or egress."""
    for policy in of_kind(objects, "NetworkPolicy"):
        if selects(policy["spec"]["podSelector"], labels):
            yield from policy["spec"].get(way, [])


def admits(rule: Object, labels: Object, port: int, *, side: str) -> bool:
    """Whether the rule admits a pod of the release's own namespace; `side` is from or to."""
    if port not in [each["port"] for each in rule["ports"]]:
        return False
    peers = rule.get(side)
    if not peers:
        return True
    return any(selects(peer["podSelector"], labels) for peer in peers if peer.keys() == {"podSelector"})


def connects(objects: list[Object], source: Object, target: Object, port: int) -> bool:
    out = any(admits(rule, target, port, side="to") for rule in rules(objects, source, way="egress"))
    into = any(admits(rule, source, port, side="from") for rule in rules(objects, target, way="ingress"))
    return out and into


def labels_of(objects: list[Object]) -> dict[str, Object]:
    """By component."""
    return {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["metadata"]["labels"] for _, pod in pods(objects)
    }


@pytest.mark.parametrize("values", VALUES)
def test_every_pod_of_the_release_is_closed_before_anything_is_opened(values: Path) -> None:
    objects = list(render_file(values))
    closed = [each for each in of_kind(objects, "NetworkPolicy") if each["metadata"]["name"] == "carillon-default-deny"]
    (policy,) = closed
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & policy["spec"].keys()
    for name, pod in pods(objects):
        assert selects(policy["spec"]["podSelector"], pod["metadata"]["labels"]), name


@pytest.mark.parametrize("values", VALUES)
def test_a_service_is_reached_by_those_that_have_its_target_and_by_nobody_else(values: Path) -> None:
    objects = list(render_file(values))
    labels = labels_of(objects)
    for callee, callers in CALLERS.items():
        told = {
            name
            for name, deployment in deployments(objects).items()
            if f"CARILLON_{callee.upper()}_TARGET" in environment(main_container(deployment))
        }
        assert told == callers
        reached = {name for name, source in labels.items() if connects(objects, source, labels[callee], 7000)}
        assert reached == callers, callee


@pytest.mark.parametrize("values", VALUES)
def test_a_worker_is_reached_by_nobody_but_who_asks_how_it_is(values: Path) -> None:
    objects = list(render_file(values))
    for name, labels in labels_of(objects).items():
        if name.endswith("-work"):
            opened = [port["port"] for rule in rules(objects, labels, way="ingress") for port in rule["ports"]]
            assert opened == [9000], name


@pytest.mark.parametrize("values", VALUES)
def test_who_is_told_where_nats_is_reaches_it_and_nobody_else(values: Path) -> None:
    objects = list(render_file(values))
    labels = labels_of(objects)
    for name, deployment in deployments(objects).items():
        out = {port["port"] for rule in rules(objects, labels[name], way="egress") for port in rule["ports"]}
        told = "CARILLON_NATS_URL" in environment(main_container(deployment))
        assert (told, 4222 in out) == ((False, False) if name == "gateway" else (True, True)), name


@pytest.mark.parametrize("values", VALUES)
def test_only_what_sends_reaches_the_internet_and_nothing_inside(values: Path) -> None:
    objects = list(render_file(values))
    for name, labels in labels_of(objects).items():
        blocks = [
            peer["ipBlock"]
            for rule in rules(objects, labels, way="egress")
            for peer in rule.get("to", [])
            if "ipBlock" in peer
        ]
        assert bool(blocks) is (name in ("campaigns-work", "gateway-work")), name
        for block in blocks:
            if block["cidr"] == "0.0.0.0/0":
                assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(block["except"])


@pytest.mark.parametrize("values", VALUES)
def test_who_migrates_or_backs_up_reaches_names_and_the_database_and_is_reached_by_nobody(values: Path) -> None:
    objects = list(render_file(values))
    found = [labels for name, labels in labels_of(objects).items() if name in ("migrate", "backup")]
    assert found
    for labels in found:
        assert list(rules(objects, labels, way="ingress")) == []
        out = {port["port"] for rule in rules(objects, labels, way="egress") for port in rule["ports"]}
        assert out == {53, 5432}


def test_the_servers_of_dev_are_reached_by_what_needs_them() -> None:
    objects = list(render_file(CHART / "ci" / "dev-values.yaml"))
    labels = labels_of(objects)
    for name in (*deployments(objects), "migrate"):
        assert connects(objects, labels[name], labels["postgres"], 5432), name
    for name in deployments(objects):
        assert connects(objects, labels[name], labels["nats"], 4222) is (name != "gateway"), name
    assert not connects(objects, labels["nats"], labels["postgres"], 5432)
    assert not connects(objects, labels["test"], labels["postgres"], 5432)


def test_helms_test_reaches_every_process_and_the_public_port() -> None:
    objects = list(render_file(CHART / "ci" / "full-values.yaml"))
    labels = labels_of(objects)
    for name in deployments(objects):
        assert connects(objects, labels["test"], labels[name], 9000), name
    assert connects(objects, labels["test"], labels["gateway"], 8080)
    assert not connects(objects, labels["test"], labels["contacts"], 7000)


def test_traces_find_their_collector_only_where_there_is_one() -> None:
    for stem, expected in (("minimal-values", False), ("full-values", True)):
        objects = list(render_file(CHART / "ci" / f"{stem}.yaml"))
        out = [
            port["port"]
            for rule in rules(objects, labels_of(objects)["gateway"], way="egress")
            for port in rule["ports"]
        ]
        assert (4318 in out) is expected
