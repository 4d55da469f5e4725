"""Rules of the house that no linter knows."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from carillon.errors.v1.reasons import Reason
from deploy.local.databases import SERVICES

ROOT = Path(__file__).resolve().parents[2]
HAND_WRITTEN = [
    *ROOT.glob("libs/chassis/**/*.py"),
    *ROOT.glob("libs/formats/**/*.py"),
    *ROOT.glob("services/**/*.py"),
    *ROOT.glob("deploy/**/*.py"),
]
VAGUE = {"utils", "util", "common", "helpers", "helper", "manager", "base", "impl", "misc"}
PERSONAL = {"phone", "email", "address", "to", "key", "token", "secret", "authorization", "body", "name_of_contact"}


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def dotted(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""


def test_there_is_code_to_look_at() -> None:
    assert len(HAND_WRITTEN) > 50


def test_a_file_says_what_is_in_it() -> None:
    for path in HAND_WRITTEN:
        assert path.stem not in VAGUE, path
        assert len(path.read_text().splitlines()) <= 400, path


def test_logs_carry_no_personal_data_and_no_secret() -> None:
    for path in HAND_WRITTEN:
        for call in calls(ast.parse(path.read_text())):
            if dotted(call.func).startswith("log."):
                assert not {keyword.arg for keyword in call.keywords} & PERSONAL, f"{path}: {ast.unparse(call)}"


def test_a_todo_names_its_issue() -> None:
    for path in HAND_WRITTEN:
        assert re.findall(r"(?i)#.*\b(?:todo|fixme|xxx)\b(?!\(#\d+\))", path.read_text()) == [], path


def test_nobody_commits_but_the_transaction_block() -> None:
    for path in HAND_WRITTEN:
        if path != ROOT / "libs/chassis/db.py":
            assert not re.search(r"""["'](?:COMMIT|ROLLBACK|BEGIN)\b(?!:)""", path.read_text()), path


def test_nobody_takes_groups_apart_by_except_star() -> None:
    """What is raised in it comes out in a group again, before Python 3.11.4."""
    for path in HAND_WRITTEN:
        assert not any(isinstance(node, ast.TryStar) for node in ast.walk(ast.parse(path.read_text()))), path


@pytest.mark.parametrize("service", SERVICES)
def test_the_work_role_names_the_account_in_its_queries(service: str) -> None:
    """Every statement over a table of accounts mentions account_id: across accounts nothing else keeps them apart."""
    metadata = import_module(f"services.{service}.tables").metadata
    tables = {table.name for table in metadata.tables.values() if "account_id" in table.columns}
    pattern = re.compile(rf"\b(?:FROM|JOIN|UPDATE|INTO)\s+(?:{'|'.join(map(re.escape, sorted(tables)))})\b")
    for path in (ROOT / "services" / service).rglob("*.py"):
        if "migrations" in path.parts:
            continue
        for statement in texts(ast.parse(path.read_text())):
            if pattern.search(statement) and not EXPIRY.match(statement):
                assert "account_id" in statement, f"{path}: {statement}"


# Dropping what is too old is the same for every account.
EXPIRY = re.compile(r"\s*DELETE FROM \w+ WHERE \w+_at < now\(\) - ")


def texts(tree: ast.AST) -> Iterator[str]:
    """Every string, an f-string as one."""
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value


def test_every_reason_is_raised_or_rendered_somewhere() -> None:
    code = "\n".join(path.read_text() for path in HAND_WRITTEN if path.name != "problem.py")
    unused = {reason for reason in Reason if f"Reason.{reason.name}" not in code and f'"{reason.value}"' not in code}
    assert unused == set()


def test_the_repository_speaks_of_carillon_alone() -> None:
    """No machine's path and no package index: the project stands by itself."""
    import subprocess

    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    forbidden = re.compile(rb"/work/|pypi\.org|files\.pythonhosted|registry\.npmjs|/tmp/plan|/root/")
    for name in filter(None, names):
        path = ROOT / name
        if path.is_file() and path != Path(__file__).resolve():
            assert not forbidden.search(path.read_bytes()), name


@pytest.mark.parametrize("service", SERVICES)
def test_serving_imports_no_migration_tool(service: str) -> None:
    """It would double the time in which a killed process comes back; see docs/adr/0006."""
    import subprocess
    import sys

    code = f"import sys, services.{service}.app; assert not {{'alembic', 'sqlalchemy'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
