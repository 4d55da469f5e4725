"""What is wrong in the values is refused, in words that say what and where."""

import re

import pytest

from services.campaigns.config import WorkSettings
from tests.helm.rendering import CHART, template

MINIMAL = ("--values", str(CHART / "ci" / "minimal-values.yaml"))


# What is set beside the minimum, and what is said of it.
WRONG = {
    "unknown": ("replicaCount=3", "Additional property replicaCount is not allowed"),
    "misspelt": ("components.gatway.replicas=3", "components: Additional property gatway is not allowed"),
    "negative": ("components.gateway.replicas=-1", "components.gateway.replicas: Must be greater than"),
    "no number": ("components.gateway.replicas=two", "components.gateway.replicas: Invalid type"),
    "beyond the setting's bounds": (
        "components.contacts-work.settings.import_slots=17",
        "components.contacts-work.settings.import_slots: Must be less than or equal to 16",
    ),
    "another component's setting": (
        "components.contacts.settings.import_slots=2",
        "components.contacts.settings: Additional property import_slots is not allowed",
    ),
    "shared setting for one": (
        "components.gateway.settings.retention_hours=1",
        "components.gateway.settings: Additional property retention_hours is not allowed",
    ),
    "slash at the end": ("publicUrl=https://api.example.com/", "publicUrl: Does not match pattern"),
    "not a key": ("tokenPublicKeys.gateway=abc", "tokenPublicKeys.gateway: Does not match pattern"),
    "three keys": (
        r"tokenPublicKeys.gateway=" + r"\,".join(["BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ="] * 3),
        "tokenPublicKeys.gateway: Does not match pattern",
    ),
    "backup without a place": ("backup.enabled=true", "backup.existingClaim is missing: the PersistentVolumeClaim"),
    "restore without a place": ("restore.backup=20261129T021700Z", "backup.existingClaim is missing"),
    "no time of a backup": ("backup.schedule=daily", "backup.schedule: Does not match pattern"),
    "no name of a backup": ("restore.backup=yesterday", "restore.backup: Does not match pattern"),
    "no moment": ("restore.at=2026-11-29", "restore.at: Does not match pattern"),
    "too many replicas": ("nats.streamReplicas=6", "nats.streamReplicas: Must be less than or equal to 5"),
    "no sampler": ("otlp.sampler=sometimes", "otlp.sampler: otlp.sampler must be one of"),
    "more than all traces": ("otlp.samplerArg=10", "otlp.samplerArg: Must be less than or equal to 1"),
    "root": ("podSecurityContext.runAsNonRoot=false", "podSecurityContext.runAsNonRoot does not match: true"),
    "user 0": ("podSecurityContext.runAsUser=0", "podSecurityContext.runAsUser: Must be greater"),
    "digest": ("image.digest=sha256:12", "image.digest: Does not match pattern"),
    "memory": ("components.gateway.resources.limits.memory=lots", "limits.memory: Does not match pattern"),
    "no secret": (
        "secrets.campaigns.existingSecret=",
        "secrets.campaigns.existingSecret is missing: name the Secret of campaigns",
    ),
    "no public key": ("tokenPublicKeys.segments=", "tokenPublicKeys.segments is missing"),
    "no url": ("publicUrl=", "publicUrl is missing: where clients and providers"),
    "tag that moves": ("image.tag=latest", "image.tag: latest moves"),
    "min above max": (
        "components.contacts.autoscaling.min=5,components.contacts.autoscaling.max=4",
        "components.contacts.autoscaling: min 5 is more than max 4",
    ),
    "keda without an eye": (
        "components.segments-work.autoscaling.kind=keda",
        "components.segments-work.autoscaling.kind is keda: nats.monitoringEndpoint is missing",
    ),
    "provider call that outlasts a stop": (
        "components.campaigns-work.settings.provider_timeout_seconds=60",
        "components.campaigns-work.graceSeconds: 60 is not more than provider_timeout_seconds, 60",
    ),
    "provider call that outlasts a short stop": (
        "components.campaigns-work.graceSeconds=10",
        "components.campaigns-work.graceSeconds: 10 is not more than provider_timeout_seconds, 10",
    ),
    "two authorities": (
        "database.ca.configMap=one,database.ca.secret=two",
        "database.ca: the certificate is either in the ConfigMap one or in the Secret two: name one",
    ),
    "more copies than servers": (
        "dev.enabled=true,nats.streamReplicas=3",
        "nats.streamReplicas: dev.enabled brings one NATS server",
    ),
    "renewed before it begins": (
        "tls.enabled=true,tls.duration=24h,tls.renewBefore=48h",
        "tls.renewBefore: 48h before the end of a certificate that is good for 24h",
    ),
    "renewed when the alert fires already": (
        "tls.enabled=true,tls.issuerRef.name=x,prometheusRules.enabled=true,tls.renewBefore=24h",
        "tls.renewBefore: 24h is within the week before the end in which CarillonCertificateExpiring fires",
    ),
    "url for a host": ("ingress.host=https://api.example.com", "ingress.host: Does not match pattern"),
    "no level": ("settings.log_level=loud", "settings.log_level must be one of the following"),
    "certificate for no time": ("tls.duration=90", "tls.duration: Invalid type"),
    "route of no gateway": ("httpRoute.enabled=true", "httpRoute.parentRefs is missing"),
}


def test_the_longest_call_to_a_provider_is_the_codes() -> None:
    """Which the chart has to know, to refuse a stop that is shorter."""
    (known,) = re.findall(
        r"provider_timeout_seconds \| default (\d+)", (CHART / "templates" / "_components.tpl").read_text()
    )
    assert int(known) == WorkSettings.model_fields["provider_timeout_seconds"].default


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_by_name(wrong: str, said: str) -> None:
    done = template(*MINIMAL, "--set", wrong)
    assert done.returncode != 0
    assert said in done.stderr


def test_an_installation_that_says_nothing_is_told_what_to_say() -> None:
    done = template()
    assert done.returncode != 0
    assert "existingSecret is missing" in done.stderr
    assert "dev.enabled=true" in done.stderr


def test_the_minimum_is_enough() -> None:
    assert template(*MINIMAL).returncode == 0
