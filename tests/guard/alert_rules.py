"""The chart's rules, as files/rules holds them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "helm" / "carillon" / "files" / "rules"
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}")
MATCHER = re.compile(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"')

Rule = dict[str, Any]


def rules() -> list[Rule]:
    return [rule for path in sorted(RULES.glob("*.yaml")) for rule in yaml.safe_load(path.read_text())["rules"]]


def alerts() -> list[Rule]:
    return [rule for rule in rules() if "alert" in rule]


def selectors(expression: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every series that is asked for: its name, and what its labels have to be."""
    for name, matchers in SELECTOR.findall(expression):
        yield name, {label: value for label, _, value in MATCHER.findall(matchers)}
