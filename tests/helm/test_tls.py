"""TLS between the services: every process has its certificate, and every server one of the name that clients call."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from chassis.config import TlsFiles
from tests.helm.rendering import (
    CHART,
    EXAMPLES,
    NAMESPACE,
    Object,
    deployments,
    environment,
    every_values,
    main_container,
    of_kind,
    render,
    render_file,
)

FULL = CHART / "ci" / "full-values.yaml"
OTHERS = CHART / "ci" / "cluster-picks-users-values.yaml"
PRODUCTION = EXAMPLES / "production.yaml"
FILES = TlsFiles("/etc/carillon/tls/tls.crt", "/etc/carillon/tls/tls.key", "/etc/carillon/tls/ca.crt")


def mounted(deployment: Object, path: str) -> Object:
    """The volume that is mounted there, read-only and whole: a part of a Secret would not be renewed."""
    (mount,) = [one for one in main_container(deployment)["volumeMounts"] if one["mountPath"] == path]
    assert mount["readOnly"] is True
    assert "subPath" not in mount
    (volume,) = [one for one in deployment["spec"]["template"]["spec"]["volumes"] if one["name"] == mount["name"]]
    return dict(volume)


def names(objects: list[Object]) -> dict[str, list[str]]:
    """Secret → the names that its certificate is of."""
    found = {each["spec"]["secretName"]: each["spec"]["dnsNames"] for each in of_kind(objects, "Certificate")}
    assert len(found) == len(of_kind(objects, "Certificate"))
    return found


@pytest.mark.parametrize("values", [FULL, OTHERS], ids=["issued", "given"])
def test_every_process_reads_a_certificate_of_its_own(values: Path) -> None:
    secrets = set()
    for name, deployment in deployments(render_file(values)).items():
        given = environment(main_container(deployment))
        files = TlsFiles(*(given[f"CARILLON_TLS_{part}"]["value"] for part in ("CERT", "KEY", "CA")))
        assert files == FILES, name
        secrets.add(mounted(deployment, "/etc/carillon/tls")["secret"]["secretName"])
    assert len(secrets) == 8


def test_a_certificate_is_of_the_name_that_clients_call() -> None:
    objects = list(render_file(FULL))
    found, all_deployments = names(objects), deployments(objects)
    targets = {
        entry["value"]
        for deployment in all_deployments.values()
        for name, entry in environment(main_container(deployment)).items()
        if name.endswith("_TARGET")
    }
    assert len(targets) == 3
    for target in targets:
        host = urlsplit(target).path.strip("/").partition(":")[0]
        (callee,) = [name for name in all_deployments if host.startswith(f"carillon-{name}.{NAMESPACE}.")]
        secret = mounted(all_deployments[callee], "/etc/carillon/tls")["secret"]["secretName"]
        assert host in found[secret]


def test_certificates_are_signed_for_both_ends_and_renewed_with_new_keys() -> None:
    for certificate in of_kind(render_file(FULL), "Certificate"):
        spec = certificate["spec"]
        assert spec["issuerRef"] == {"name": "carillon-ca", "kind": "Issuer", "group": "cert-manager.io"}
        assert {"server auth", "client auth"} <= set(spec["usages"])
        assert spec["privateKey"]["rotationPolicy"] == "Always"
        # An x509 name has 64 characters at most; these have none.
        assert "commonName" not in spec
        hours = [int(spec[part].removesuffix("h")) for part in ("duration", "renewBefore")]
        assert hours[0] > hours[1] > 0


def test_the_example_for_production_names_the_issuer_of_the_example_beside_it() -> None:
    made = list(yaml.safe_load_all((EXAMPLES / "certificates.yaml").read_text()))
    issuers = [each["metadata"]["name"] for each in made if each["kind"] == "Issuer"]
    (authority,) = [each for each in made if each["kind"] == "Certificate"]
    assert authority["spec"]["isCA"] is True
    asked = {each["spec"]["issuerRef"]["name"] for each in of_kind(render_file(PRODUCTION), "Certificate")}
    assert asked == {issuers[-1]}
    assert made[-1]["spec"]["ca"]["secretName"] == authority["spec"]["secretName"]


def test_whoever_names_no_issuer_makes_the_secrets() -> None:
    assert of_kind(render_file(OTHERS), "Certificate") == []


@pytest.mark.parametrize("values", [pytest.param(path, id=path.stem) for path in every_values()])
def test_without_tls_there_is_nothing_of_it(values: Path) -> None:
    objects = list(render("--values", str(values), "--set", "tls.enabled=false"))
    assert of_kind(objects, "Certificate") == []
    for name, deployment in deployments(objects).items():
        assert not [one for one in environment(main_container(deployment)) if one.startswith("CARILLON_TLS_")], name
        volumes = [volume["name"] for volume in deployment["spec"]["template"]["spec"]["volumes"]]
        assert "tls" not in volumes, name


@pytest.mark.parametrize(("values", "kind"), [(FULL, "secret"), (OTHERS, "configMap")])
def test_who_reaches_nats_knows_its_authority(values: Path, kind: str) -> None:
    for name, deployment in deployments(render_file(values)).items():
        given = environment(main_container(deployment))
        assert ("CARILLON_NATS_CA" in given) is ("CARILLON_NATS_URL" in given), name
        if "CARILLON_NATS_CA" in given:
            assert given["CARILLON_NATS_CA"]["value"] == "/etc/carillon/nats/ca.crt"
            assert kind in mounted(deployment, "/etc/carillon/nats")


def test_probes_and_policies_are_the_same_with_and_without() -> None:
    def parts(*more: str) -> tuple[list[Object], list[Object]]:
        objects = list(render("--values", str(FULL), *more))
        probes = [
            main_container(one)[probe]
            for one in deployments(objects).values()
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        ]
        return probes, [each["spec"] for each in of_kind(objects, "NetworkPolicy")]

    assert parts() == parts("--set", "tls.enabled=false")
