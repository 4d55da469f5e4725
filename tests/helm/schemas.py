"""Kubernetes' own schemas, strict: a field that it does not know is an error. Of the kubernetes-validate wheel."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry, Resource

# The oldest that Chart.yaml admits, one between, the newest that there are schemas of.
VERSIONS = ("1.27", "1.32", "1.37")
# Kinds of operators, which tests/helm/test_operators.py looks at instead.
FROM_OPERATORS = {
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
}


def faults(thing: dict[str, Any], version: str) -> Iterator[str]:
    """What Kubernetes of this version would not understand in the object, or at all."""
    api, kind = thing["apiVersion"], thing["kind"]
    if (api, kind) in FROM_OPERATORS:
        return
    checker = validator(version, api, kind)
    name = f"{kind} {thing['metadata']['name']}"
    if checker is None:
        yield f"{name}: Kubernetes {version} has no {api} {kind}"
        return
    for error in checker.iter_errors(thing):
        yield f"{name}: {'.'.join(str(part) for part in error.path)}: {error.message}"


@cache
def validator(version: str, api: str, kind: str) -> Validator | None:
    group, _, number = api.rpartition("/")
    prefix = f"{group.partition('.')[0]}-" if group else ""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    schema = folder / f"{kind.lower()}-{prefix}{number}.json"
    if not schema.is_file():
        return None
    return Draft202012Validator(json.loads(schema.read_text()), registry=definitions(version))


@cache
def definitions(version: str) -> Registry[Any]:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    resource: Resource[Any] = Resource.from_contents(json.loads((folder / "_definitions.json").read_text()))
    return resource @ Registry()
