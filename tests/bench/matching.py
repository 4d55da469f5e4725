"""What matching a contact costs at 10, 1,000 and 10,000 segments in one account. No database: the matcher alone."""

import random
import time

from services.segments.contact_facts import facts_of, now_micros
from services.segments.domain.batch import Batch
from services.segments.domain.definitions import compile_with
from services.segments.domain.facts import Facts
from services.segments.domain.matcher import RuleSet
from tests.bench import segment_load
from tests.bench.measure import median
from tests.bench.record import Outcome

SEGMENTS = (10, 1_000, 10_000)
BATCH = 500
LIMIT_RATIO = 30.0
LIMIT_US = 200.0


def rule_set(count: int) -> RuleSet[int]:
    return RuleSet({number: compile_with(segment_load.definition(number), {}) for number in range(count)})


def seconds_of(rules: RuleSet[int], contacts: list[Facts]) -> tuple[float, float]:
    """To match the contacts, and to find when the clock flips what."""
    started = time.perf_counter()
    batch = Batch(contacts, now_micros())
    rules.match(batch)
    matched = time.perf_counter()
    rules.relative.flips(batch)
    return matched - started, time.perf_counter() - matched


def run(rounds: int = 15) -> Outcome:
    sets = {count: rule_set(count) for count in SEGMENTS}
    for rules in sets.values():
        assert rules.relative is not None
    figures: dict[str, object] = {}
    rows, missed = [], []
    costs: dict[tuple[int, int], float] = {}
    for size in (BATCH, 1):
        taken: dict[int, list[tuple[float, float]]] = {count: [] for count in SEGMENTS}
        for number in range(rounds + 1):
            dice = random.Random(number)
            batch: list[Facts] = [facts_of(segment_load.contact(dice)) for _ in range(size)]
            for count, rules in sets.items():
                spent = seconds_of(rules, batch)
                # The first round compiles the subset of relative rules.
                if number:
                    taken[count].append(spent)
        for count in SEGMENTS:
            match, flips = (median([one[part] for one in taken[count]]) / size * 1e6 for part in (0, 1))
            cost = costs[size, count] = match + flips
            ratio = cost / costs[size, SEGMENTS[0]]
            rows.append(
                [f"{count:,} segments, {size} at once", f"{match:.1f}", f"{flips:.1f}", f"{cost:.1f}", f"{ratio:.1f}"]
            )
            figures[f"{count} segments, batch {size}"] = {"match_us": match, "flips_us": flips, "ratio": ratio}
            if size == BATCH and cost > LIMIT_US:
                missed.append(f"{count:,} segments: {cost:.0f} µs a contact, limit {LIMIT_US:.0f}")
            if size == BATCH and ratio > LIMIT_RATIO:
                missed.append(f"{count:,} segments: {ratio:.1f} times what {SEGMENTS[0]} cost, limit {LIMIT_RATIO:.0f}")
    return Outcome(
        "matching",
        "Matching, µs a contact, in one process",
        ["", "match", "next flip", "together", f"against {SEGMENTS[0]}"],
        rows,
        figures,
        {"rounds": rounds, "batch": BATCH},
        missed,
    )
