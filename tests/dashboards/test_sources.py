"""Metrics come from whom docs/metrics.md names, and lead to traces."""

import re

from deploy.local import processes
from tests.dashboards.conftest import Shown
from tests.e2e.client import eventually
from tests.guard.test_metrics import rows

EVERY = {"every process": {*processes.SERVING, *processes.WORKING}, "every work": {*processes.WORKING}}


async def test_metrics_come_from_whom_the_page_names_with_the_labels_that_it_lists(shown: Shown) -> None:
    missing, unlisted = {}, {}
    for name, kind, labels, _, who, _ in rows():
        named = {component for each in who.split(",") for component in EVERY.get(each.strip(), {each.strip()})}
        metric = name.strip("`") + ("_count" if kind == "histogram" else "")
        series = shown.ask("/api/v1/series", **{"match[]": metric})
        missing[metric] = named - {one["component"] for one in series}
        for label, values in re.findall(r"`(\w+)` \(([^)]+)\)", labels):
            found = {one[label] for one in series}
            unlisted[metric, label] = found - {value.strip() for value in values.split(",")}
    assert {metric: components for metric, components in missing.items() if components} == {}
    assert {label: values for label, values in unlisted.items() if values} == {}


async def test_histograms_lead_to_traces(shown: Shown) -> None:
    for name in ("carillon_gateway_request_seconds", "carillon_grpc_server_seconds", "carillon_grpc_client_seconds"):
        found = shown.ask("/api/v1/query_exemplars", query=f"{name}_bucket")
        traces = {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}

        async def recorded(traces: set[str] = traces) -> bool:
            return any(shown.spans.of_trace(trace) for trace in traces)

        assert traces, name
        assert await eventually(recorded, seconds=10)
