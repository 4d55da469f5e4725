"""Every pod is restricted, whoever makes it: nobody's user, nothing to write to, no token, no secret in the open."""

from pathlib import Path

import pytest

from tests.helm.rendering import containers, every_values, of_kind, pods, render_file

SECRET = (
    "_DATABASE_URL", "_NATS_URL", "_PRIVATE_KEY", "_ERASURE_KEY", "_SECRETS_KEYS", "_PASSWORD",
    "_OTLP_HEADERS",
)  # fmt: skip
VALUES = [pytest.param(path, id=path.stem) for path in every_values()]


@pytest.mark.parametrize("values", VALUES)
def test_pods_are_nobody_and_ask_kubernetes_nothing(values: Path) -> None:
    for name, pod in pods(render_file(values)):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        # A Service called carillon-… would otherwise put CARILLON_… variables into every pod.
        assert spec["enableServiceLinks"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["serviceAccountName"] not in ("", "default"), name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name


@pytest.mark.parametrize("values", VALUES)
def test_containers_have_no_way_up_and_nowhere_to_write(values: Path) -> None:
    for name, pod in pods(render_file(values)):
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, f"{name}, {container['name']}"


@pytest.mark.parametrize("values", VALUES)
def test_containers_say_what_they_need_and_have_a_limit_of_memory(values: Path) -> None:
    for name, pod in pods(render_file(values)):
        for container in containers(pod):
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), f"{name}, {container['name']}"
            assert "memory" in resources["limits"], f"{name}, {container['name']}"


@pytest.mark.parametrize("values", VALUES)
def test_every_mount_has_its_volume_and_what_is_written_has_a_limit(values: Path) -> None:
    for name, pod in pods(render_file(values)):
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        mounted = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", [])}
        claimed = {"data"} if name.startswith("StatefulSet") else set()
        assert mounted == volumes.keys() | claimed, name
        for volume in volumes.values():
            assert "hostPath" not in volume, name
            assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"], name


@pytest.mark.parametrize("values", VALUES)
def test_no_secret_is_in_the_open(values: Path) -> None:
    objects = render_file(values)
    dev = "dev" in values.stem
    assert bool(of_kind(objects, "Secret")) is dev, "only dev.enabled makes Secrets"
    for name, pod in pods(objects):
        for container in containers(pod):
            for entry in container.get("env", []):
                if entry["name"].endswith(SECRET):
                    assert "secretKeyRef" in entry["valueFrom"], f"{name}: {entry['name']}"
