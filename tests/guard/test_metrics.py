"""docs/metrics.md lists the metrics of the code: every one, and no other."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
KINDS = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
EVERYBODY = {"every process", "every work"}


@dataclass(frozen=True)
class Metric:
    name: str
    kind: str
    labels: tuple[str, ...]
    unit: str


@dataclass(frozen=True)
class Made:
    metric: Metric
    path: Path


def unit_of(name: str) -> str:
    return next((unit for unit in ("seconds", "bytes") if f"_{unit}" in name), "–")


def in_code() -> list[Made]:
    found = []
    for path in [*ROOT.glob("libs/**/*.py"), *ROOT.glob("services/**/*.py")]:
        tree = ast.parse(path.read_text())
        kinds = {
            name.asname or name.name: name.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client"
            for name in node.names
            if name.name in KINDS
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in kinds:
                if not call.args:
                    continue  # collections.Counter
                name = ast.literal_eval(call.args[0])
                labels = tuple(ast.literal_eval(call.args[2])) if len(call.args) > 2 else ()
                found.append(Made(Metric(name, kinds[call.func.id].lower(), labels, unit_of(name)), path))
    return found


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if line.startswith("| `carillon_")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def on_page() -> list[Metric]:
    found = []
    for name, kind, labels, unit, _, _ in rows():
        found.append(Metric(name.strip("`"), kind, tuple(re.findall(r"`(\w+)`", labels)), unit))
    return found


def test_the_page_lists_every_metric_as_it_is_and_no_other() -> None:
    made = {one.metric for one in in_code()}
    assert len(made) > 60
    assert made - set(on_page()) == set(), "docs/metrics.md does not say so"
    assert set(on_page()) - made == set(), "no code makes it"


def test_each_metric_is_made_and_listed_once() -> None:
    for names in ([one.metric.name for one in in_code()], [one.name for one in on_page()]):
        assert sorted(names) == sorted(set(names))


def test_names_say_what_is_counted_in_what_and_of_whom() -> None:
    for one in in_code():
        name = one.metric.name
        assert name.startswith("carillon_")
        assert name.endswith("_total") == (one.metric.kind == "counter"), name
        parts = one.path.relative_to(ROOT).parts
        owner = parts[1] if parts[0] == "services" else "chassis"
        ours = {"gateway": ("gateway", "webhook"), "chassis": CHASSIS}.get(owner, (owner,))
        assert name.removeprefix("carillon_").startswith(ours), f"{one.path}: {name}"


CHASSIS = ("grpc", "outbox", "consumer", "nats", "event_loop", "db", "postgres", "tls")


def test_the_page_names_processes_that_there_are() -> None:
    services = {"gateway", "contacts", "segments", "campaigns"}
    components = services | {f"{name}-work" for name in services} | EVERYBODY
    for name, _, _, _, who, meaning in rows():
        assert {each.strip() for each in who.split(",")} <= components, name
        assert meaning, name
        service = name.split("_")[1]
        if service in services:
            assert service in who, name


def test_no_label_could_be_without_end() -> None:
    """What an account, a contact or a path is called is no label."""
    known = {
        *("method", "route", "status", "kind", "code", "objective", "met", "lane", "durable", "outcome", "client"),
        *("state", "database", "what", "result", "answer", "provider", "reason", "word", "channel", "file"),
    }
    for one in in_code():
        assert set(one.metric.labels) <= known, f"{one.metric.name}: is it certain that a new label has few values?"
