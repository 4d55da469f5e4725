"""Objects of kinds that Kubernetes itself has no schema of: KEDA's, the Prometheus operator's, the Gateway API's."""

import re

from deploy.dashboards import written
from services.campaigns import consumers as campaigns
from services.contacts.activity import consumers as activity
from services.contacts.search import consumers as search
from services.segments import consumers as segments
from tests.helm import schemas
from tests.helm.rendering import CHART, Object, named, of_kind, render_file, selects
from tests.helm.settings import ROOT

FULL = CHART / "ci" / "full-values.yaml"
DURABLES = {
    "contacts-work": {activity.LIVE, activity.BULK, search.LIVE, search.BULK},
    "segments-work": {segments.LIVE, segments.BULK, segments.MESSAGES},
    "campaigns-work": {campaigns.LIVE, campaigns.BULK},
}


def triggers(objects: list[Object], component: str) -> list[Object]:
    return list(named(objects, "ScaledObject", f"carillon-{component}")["spec"]["triggers"])


def test_keda_counts_the_events_of_every_consumer_of_the_component() -> None:
    objects = list(render_file(FULL))
    for component, durables in DURABLES.items():
        counted = [each["metadata"] for each in triggers(objects, component) if each["type"] == "nats-jetstream"]
        assert {each["consumer"] for each in counted} == durables
        assert {each["stream"] for each in counted} == {"EVENTS"}
        assert {each["natsServerMonitoringEndpoint"] for each in counted} == {"nats.nats.svc:8222"}
        # KEDA takes texts alone, and reads an integer from them.
        assert all(re.fullmatch(r"\d+", each["lagThreshold"]) for each in counted)


def test_the_consumers_that_are_counted_are_all_that_there_are() -> None:
    made = [path for path in (ROOT / "services").rglob("*.py") if re.search(r"\bConsumer\(nats\b", path.read_text())]
    assert {path.parent.name for path in made} == {"activity", "search", "segments", "campaigns"}, (
        "there is a consumer that files/nats-users.json and this test may not know"
    )


def test_triggers_of_ones_own_come_besides() -> None:
    kinds = [each["type"] for each in triggers(list(render_file(FULL)), "contacts-work")]
    assert kinds == ["cpu", *["nats-jetstream"] * 4, "prometheus"]


def test_metrics_are_read_from_every_process() -> None:
    objects = render_file(FULL)
    (monitor,) = of_kind(objects, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    found = [
        each for each in of_kind(objects, "Service") if selects(monitor["spec"]["selector"], each["metadata"]["labels"])
    ]
    assert [each["metadata"]["name"] for each in found] == ["carillon-ops"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [port["name"] for port in found[0]["spec"]["ports"]]
    assert endpoint["path"] == "/metrics"
    assert {each["targetLabel"] for each in endpoint["relabelings"]} == {"component"}


def test_a_dashboard_is_found_by_grafana_and_is_the_file_that_was_made() -> None:
    found = [each for each in of_kind(render_file(FULL), "ConfigMap") if "-dashboard-" in each["metadata"]["name"]]
    for each in found:
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert each["metadata"]["annotations"] == {"grafana_folder": "Carillon"}
    shown = {name.removeprefix("carillon-"): text for each in found for name, text in each["data"].items()}
    assert {name: text + "\n" for name, text in shown.items()} == written.files()


def test_a_route_leads_from_the_public_host_to_the_gateway() -> None:
    objects = render_file(FULL)
    (route,) = of_kind(objects, "HTTPRoute")
    assert route["spec"]["hostnames"] == ["api.example.com"]
    ((backend,),) = [rule["backendRefs"] for rule in route["spec"]["rules"]]
    service = named(objects, "Service", backend["name"])
    assert backend["port"] in [port["port"] for port in service["spec"]["ports"]]


def test_nothing_of_an_operator_is_there_by_default() -> None:
    objects = render_file(CHART / "ci" / "minimal-values.yaml")
    assert [each for each in of_kind(objects, "ConfigMap") if "-dashboard-" in each["metadata"]["name"]] == []
    kinds = {kind for _, kind in schemas.FROM_OPERATORS} | {"HorizontalPodAutoscaler", "Ingress"}
    assert of_kind(objects, *kinds) == []
