"""The three evaluators against one another: the oracle, the matcher, and the SQL on a real Postgres."""

import pytest
from hypothesis import HealthCheck, given, settings

from chassis import ids
from services.segments import locks
from services.segments.domain.matcher import RuleSet, bits
from services.segments.domain.rules import Condition, compile_rule
from services.segments.predicate import compile_sql
from services.segments.projection import ContactVersion, upsert
from tests.service.stack import new_account
from tests.unit.segments import oracle
from tests.unit.segments.strategies import WORDS, cases, facts


def versions(people) -> list[ContactVersion]:
    made = [ids.new() for _ in people]
    return [
        ContactVersion(one, ids.encode("cnt", one), 1, facts(person), b"", None)
        for one, person in zip(made, people, strict=True)
    ]


async def matched_by_sql(db, people, written) -> list[list[int]]:
    """Per rule, the places of the contacts that the WHERE clause finds."""
    account, projected = new_account(), versions(people)
    found = []
    async with db.write(account) as tx:
        await locks.share(tx, account)
        await upsert(tx, projected)
        for conditions in written:
            predicate = compile_sql(compile_rule(conditions), first=2)
            sql = f"SELECT contact_id, {predicate.sql} AS held FROM contacts_projection p WHERE account_id = $1"
            rows = await tx.fetch(sql, account, *predicate.args)
            held = {row["contact_id"]: row["held"] for row in rows}
            # Neither null nor missing: later, NOT must be able to stand before it.
            assert set(held.values()) <= {True, False}
            found.append([at for at, one in enumerate(projected) if held[one.contact_id]])
    return found


async def agree(db, case):
    written, people = case
    rule_set = RuleSet({place: compile_rule(conditions) for place, conditions in enumerate(written)})
    matched = rule_set.match([facts(person) for person in people])
    by_sql = await matched_by_sql(db, people, written)

    for place, conditions in enumerate(written):
        expected = [at for at, person in enumerate(people) if oracle.holds(conditions, person)]
        assert list(bits(matched.get(place, 0))) == expected
        assert by_sql[place] == expected


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
async def test_all_three_agree(work_db, case):
    await agree(work_db, case)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
async def test_all_three_agree_for_long(work_db, case):
    await agree(work_db, case)


async def test_every_word_against_every_other(work_db):
    """What chance might leave out: LIKE's metacharacters above all."""
    people = [{"name": one, "phone": None, "email": one, "tags": [one, "other"]} for one in WORDS]
    written = [
        [Condition(field, operator, (wanted,))]
        for field in ("name", "tags")
        for operator in ("equals", "contains", "starts_with", "ends_with")
        for wanted in WORDS
    ]

    by_sql = await matched_by_sql(work_db, people, written)

    for conditions, found in zip(written, by_sql, strict=True):
        expected = [at for at, person in enumerate(people) if oracle.holds(conditions, person)]
        assert found == expected, conditions
