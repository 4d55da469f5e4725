"""What a runbook tells people to type is there: columns, commands, log lines, components, routes."""

import json
import re
from collections.abc import Iterator

import asyncpg
import pytest
import yaml

from deploy.local import databases
from services.cli import MODULES
from tests.guard.alert_rules import ROOT, alerts
from tests.guard.test_alerts import RUNBOOKS, measured
from tests.guard.test_code import HAND_WRITTEN
from tests.guard.test_schema import MakeDatabase

PAGES = sorted(RUNBOOKS.glob("*.md"))
# Of the client libraries, on Linux.
OF_LIBRARIES = {"process_cpu_seconds_total"}
CHART = ROOT / "deploy" / "helm" / "carillon"
LOGGED = re.compile(r'log\.\w+\(\s*"([a-z_]+\.[a-z_]+)"')


def blocks(kind: str) -> Iterator[tuple[str, str]]:
    """(the page's name, the text) of every fenced block."""
    for path in PAGES:
        for text in re.findall(rf"```{kind}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            yield path.stem, text


def everything() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in PAGES)


@pytest.mark.parametrize("service", databases.SERVICES)
async def test_statements_fit_the_schema(service: str, make_database: MakeDatabase) -> None:
    mine = [(page, text) for page, text in blocks("sql") if text.startswith(f"-- {service}\n")]
    assert mine
    connection = await asyncpg.connect((await make_database(service)).admin)
    try:
        for page, text in mine:
            try:
                await connection.execute(f"EXPLAIN {text}")
            except asyncpg.PostgresError as error:
                pytest.fail(f"{page}: {error}: {text}")
    finally:
        await connection.close()


def test_every_statement_says_in_which_database_it_is_asked() -> None:
    assert {text.splitlines()[0] for _, text in blocks("sql")} <= {f"-- {name}" for name in databases.SERVICES}


def test_commands_of_carillon_exist() -> None:
    from importlib import import_module

    commands = {
        f"{name} {command.name or command.callback.__name__}"
        for name, module in MODULES.items()
        for command in import_module(module).cli.registered_commands
        if command.callback is not None
    }
    named = set(re.findall(rf"\bcarillon ((?:{'|'.join(MODULES)}) [a-z-]+)", everything()))
    assert named
    assert named <= commands


def test_log_lines_that_are_looked_for_are_written() -> None:
    written = {name for path in HAND_WRITTEN for name in LOGGED.findall(path.read_text())}
    named = set(re.findall(r"(?<![\w./-])([a-z]+\.[a-z_]{3,})(?![\w/-]|\.[a-z])", " ".join(of_logs())))
    assert len(named) > 15
    assert {name for name in named if not name.startswith("settings.")} <= written


def of_logs() -> Iterator[str]:
    """What stands behind grep, with what text says of it in backquotes."""
    for _, text in blocks("bash"):
        yield from re.findall(r"\| grep (.*)", text)
    yield from re.findall(r"`([a-z]+\.[a-z_]+)`(?= |:|,|\.|\))", everything())


def test_components_and_deployments_are_those_of_the_chart() -> None:
    components = set(yaml.safe_load((CHART / "values.yaml").read_text())["components"])
    text = everything()
    assert set(re.findall(r"app\.kubernetes\.io/component=([a-z-]+)", text)) <= components
    assert set(re.findall(r"deployment/carillon-([a-z-]+)", text)) <= components
    assert set(re.findall(r"carillon/service=([a-z]+)", text)) <= set(databases.SERVICES)
    durables = {
        name
        for one in json.loads((CHART / "files" / "nats-users.json").read_text()).values()
        for name in one["durables"]
    }
    assert set(re.findall(r"\bdead\.([a-z-]+)", text)) - {"durable"} <= durables
    assert set(re.findall(r"nats consumer info EVENTS ([a-z-]+)", text)) <= durables


def test_routes_are_those_of_the_api() -> None:
    paths = json.loads((ROOT / "openapi.json").read_text())["paths"]
    known = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    named = set(re.findall(r"\b((?:GET|POST|PUT|PATCH|DELETE) /v1/[a-z{}/_-]+)", everything()))
    assert named
    assert named <= known


def test_queries_ask_for_what_is_measured() -> None:
    named = {name for _, text in blocks("promql") for name in re.findall(r"\b[a-z]+_[a-z_]+(?=[\[{)]|\s)", text)}
    names = {name for name in named if name.startswith(("carillon_", "process_"))}
    assert names
    assert names <= measured().keys() | OF_LIBRARIES


def test_values_that_are_named_are_in_the_chart() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for group, name in re.findall(r"`(networkPolicy|prometheusRules|settings|autoscaling)\.([A-Za-z_]+)", everything()):
        assert name in values.get(group, values["defaults"].get(group, {})), f"{group}.{name}"
    for component, name in re.findall(r"`components\.([a-z-]+)\.settings\.([a-z_]+)", everything()):
        assert name in schema["definitions"][f"{component}-settings"]["properties"], f"{component}: {name}"


def test_pages_refer_to_pages() -> None:
    named = set(re.findall(r"\bCarillon[A-Z][A-Za-z]+", everything()))
    assert named == {rule["alert"] for rule in alerts()}
