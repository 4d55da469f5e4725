"""Pages say what the code does: those that are made from it, and those that show it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from deploy.local.databases import SERVICES
from services.cli import MODULES
from services.gateway.config import GatewaySettings
from services.segments.domain import fields, grammar
from services.segments.domain.faults import InvalidRule

ROOT = Path(__file__).resolve().parents[2]
SEGMENTS = (ROOT / "docs" / "segments.md").read_text(encoding="utf-8")


def test_the_pages_that_are_made_from_the_code_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_that_is_shown_exists() -> None:
    texts = [path for folder in ("docs", "deploy", "services") for path in (ROOT / folder).rglob("*.*")]
    shown = {
        (group, command)
        for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *texts]
        if path.suffix in (".md", ".txt", ".sh", ".yaml", ".tpl")
        for group, command in COMMAND.findall(path.read_text(encoding="utf-8"))
    }
    known = {(group, name) for group in MODULES for name in commands(group)}
    assert len(shown) > 10
    assert sorted(shown - known) == []


COMMAND = re.compile(rf"\bcarillon ({'|'.join(MODULES)}) ([a-z][a-z-]+)")


def commands(group: str) -> set[str]:
    registered = import_module(MODULES[group]).cli.registered_commands
    return {each.name or each.callback.__name__.replace("_", "-") for each in registered}


def test_every_field_and_operator_of_rules_is_explained() -> None:
    known_fields, known_operators = section("Fields"), section("Operators")
    assert [name for name in fields.FIELDS if f"`{name}`" not in known_fields] == []
    assert [name for name in grammar.Operator if f"`{name}`" not in known_operators] == []


def section(name: str) -> str:
    return SEGMENTS.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_the_examples_of_rules_are_right_and_those_that_are_wrong_are_refused_as_shown() -> None:
    blocks: list[Any] = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", SEGMENTS, re.DOTALL)]
    found = [faults_of(block) for block in blocks if "name" in block]
    shown = [(error["pointer"], error["detail"]) for block in blocks for error in block.get("errors", ())]
    assert [one for one in found if one] == [shown]
    assert len(found) == 4


def faults_of(body: dict[str, object]) -> list[tuple[str, str]]:
    try:
        grammar.parse({key: body[key] for key in ("conditions", "rules") if key in body})
    except InvalidRule as invalid:
        return [(fault.pointer, fault.detail) for fault in invalid.faults]
    return []


LIMIT = re.compile(r"^\| .+ \| ([0-9,]+)( \w+)? \| `([\w.]+)\.(\w+)` \|$", re.MULTILINE)
UNITS = {" KiB": 1 << 10, " MiB": 1 << 20}


def test_the_limits_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    found = LIMIT.findall(page)
    # But for the head of the table and the line below it.
    assert len(found) == sum(line.startswith("|") for line in page.splitlines()) - 2
    for number, unit, module, constant in found:
        shown = int(number.replace(",", "")) * UNITS.get(unit, 1)
        assert getattr(import_module(module), constant) == shown, f"{module}.{constant}"
    settings = GatewaySettings.model_fields
    assert f"{settings['upload_limit_bytes'].default >> 30} GiB (`upload_limit_bytes`)" in page
    assert f"{settings['rate_limit_per_second'].default:,} requests" in page


def test_the_plan_for_distribution_knows_every_table_and_every_claim() -> None:
    plan = (ROOT / "docs" / "distributing.md").read_text(encoding="utf-8")
    for service in SERVICES:
        (row,) = [line for line in plan.splitlines() if line.startswith(f"| {service} | `")]
        named = re.findall(r"`(\w+)`", row)
        assert sorted(named) == sorted(import_module(f"services.{service}.tables").metadata.tables), service
    claimed = re.findall(r"^\| `(?:[a-z_]+/)?([a-z_]+)\.([A-Z]+)` \|", plan, re.MULTILINE)
    assert set(claimed) == set(claims_of_any_account())


def claims_of_any_account() -> Iterator[tuple[str, str]]:
    """(module, constant) of every statement that locks rows without being told whose."""
    for path in [*ROOT.glob("services/**/*.py"), *ROOT.glob("libs/chassis/*.py")]:
        if "SKIP LOCKED" not in path.read_text():
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("libs.")
        for constant, value in vars(import_module(name)).items():
            if constant.isupper() and "SKIP LOCKED" in str(value) and "account_id = $1" not in value:
                yield path.stem, constant
