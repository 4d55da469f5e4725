"""Grafana's JSON (schema 39, Grafana 10 and newer), in the few shapes that these dashboards need."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SCHEMA = 39
TAG = "carillon"
WIDTH = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Every process has it, from its first second.
ALWAYS_THERE = "carillon_event_loop_lag_seconds_count"
GREEN, YELLOW, RED = "green", "yellow", "red"


@dataclass(frozen=True, slots=True)
class Query:
    """legend: may name labels, `{{component}}`. exemplars: points lead to their traces."""

    expression: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """steps: (from which value on, colour), beginning with (None, colour). leads_to: the uid of another dashboard."""

    title: str
    description: str
    queries: Sequence[Query]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 8
    stacked: bool = False
    decimals: int | None = None
    most: float | None = None
    steps: Sequence[tuple[float | None, str]] = ()
    leads_to: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """Markdown, where a reader would look for what is not there."""

    content: str
    width: int = 24
    height: int = 3


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    panels: Sequence[Panel | Text]


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    description: str
    sections: Sequence[Section]
    # Labels that can be chosen besides namespace and job, each with a metric that has it.
    variables: dict[str, str] = field(default_factory=dict)


def render(dashboard: Dashboard) -> Json:
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": [TAG],
        "schemaVersion": SCHEMA,
        "editable": True,
        # One crosshair over all panels.
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "timezone": "",
        "annotations": {"list": []},
        "links": [to_the_others()],
        "templating": {"list": list(variables(dashboard))},
        "panels": list(panels(dashboard.sections)),
    }


def to_the_others() -> Json:
    return {
        "type": "dashboards",
        "title": "Carillon",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def variables(dashboard: Dashboard) -> Iterator[Json]:
    yield {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
    }
    yield chosen("namespace", ALWAYS_THERE)
    yield chosen("job", f'{ALWAYS_THERE}{{namespace=~"$namespace"}}')
    for label, metric in dashboard.variables.items():
        yield chosen(label, f'{metric}{{namespace=~"$namespace",job=~"$job"}}')


def chosen(label: str, metric: str) -> Json:
    """One or several values of a label, or all."""
    query = f"label_values({metric}, {label})"
    return {
        "name": label,
        "label": label.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": label},
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "allValue": ".*",
        "includeAll": True,
        "multi": True,
        "hide": 0,
        "options": [],
        "refresh": 2,
        "regex": "",
        "sort": 1,
    }


def panels(sections: Sequence[Section]) -> Iterator[Json]:
    """Numbered, and placed from left to right."""
    number, top = 0, 0
    for section in sections:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": section.title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
        }
        top, left, height = top + 1, 0, 0
        for panel in section.panels:
            if left + panel.width > WIDTH:
                top, left, height = top + height, 0, 0
            number += 1
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            shown = text(panel) if isinstance(panel, Text) else graph(panel)
            yield {"id": number, "gridPos": place, **shown}
            left, height = left + panel.width, max(height, panel.height)
        top += height


def text(panel: Text) -> Json:
    return {
        "type": "text",
        "title": "",
        "transparent": True,
        "options": {"mode": "markdown", "content": panel.content},
    }


def graph(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [target(panel, place, query) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults(panel), "overrides": []},
        "options": OPTIONS[panel.kind](panel),
        "links": [link(panel.leads_to)] if panel.leads_to else [],
    }


def target(panel: Panel, place: int, query: Query) -> Json:
    now = panel.kind in ("stat", "bargauge")
    return {
        "refId": chr(ord("A") + place),
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": now,
        "range": not now,
        "exemplar": query.exemplars,
        "format": "heatmap" if panel.kind == "heatmap" else "time_series",
    }


def link(uid: str) -> Json:
    return {"title": "More of it", "url": f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}", "targetBlank": False}


def defaults(panel: Panel) -> Json:
    steps = [{"value": value, "color": colour} for value, colour in panel.steps or [(None, GREEN)]]
    found: Json = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "mappings": [],
    }
    if panel.unit != "percentunit":
        found["min"] = 0
    if panel.most is not None:
        found["max"] = panel.most
    if panel.decimals is not None:
        found["decimals"] = panel.decimals
    if panel.kind == "timeseries":
        found["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 30 if panel.stacked else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
            "axisSoftMin": 0,
        }
    return found


def timeseries(panel: Panel) -> Json:
    return {
        "legend": {
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
            "calcs": ["mean", "max", "lastNotNull"],
            "sortBy": "Max",
            "sortDesc": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def stat(panel: Panel) -> Json:
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    }


def bargauge(panel: Panel) -> Json:
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "displayMode": "gradient",
        "orientation": "horizontal",
        "showUnfilled": True,
        "valueMode": "color",
    }


def heatmap(panel: Panel) -> Json:
    return {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "reverse": False},
        "yAxis": {"unit": panel.unit, "axisPlacement": "left"},
        "rowsFrame": {"layout": "auto"},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "show": True, "yHistogram": False},
        "showValue": "never",
        "filterValues": {"le": 1e-9},
    }


OPTIONS = {"timeseries": timeseries, "stat": stat, "bargauge": bargauge, "heatmap": heatmap}
