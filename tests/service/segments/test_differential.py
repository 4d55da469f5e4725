"""The three evaluators against one another: the oracle, the matcher, and the SQL on a real Postgres."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings

from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from chassis.db import Database, WriteTx
from services.segments import locks
from services.segments.contact_facts import facts_of
from services.segments.domain.batch import Batch, bits
from services.segments.domain.comparisons import Compiled
from services.segments.domain.fields import FIELDS, Field, Kind, find
from services.segments.domain.grammar import OPERATORS, RANGES, Operator
from services.segments.domain.matcher import RuleSet
from services.segments.domain.moments import DAY
from services.segments.predicate import JOIN_ENGAGEMENT, compile_found, compile_sql
from services.segments.projection import ContactVersion, upsert
from tests.service.stack import new_account
from tests.unit.segments import oracle
from tests.unit.segments.strategies import A_VALUE, CONTACT_IDS, NO_ENGAGEMENT, PATHS, Case, Person, cases, everything
from tests.unit.segments.values import BIRTHDAYS, DAYS, NOWS, WORDS

# Rules of one statement, which has 1,664 columns at most.
AT_ONCE = 100
INSERT_ENGAGEMENT = f"""
INSERT INTO engagement (account_id, contact_id, {", ".join(NO_ENGAGEMENT)})
VALUES ($1, $2, {", ".join(f"${number}" for number, _ in enumerate(NO_ENGAGEMENT, 3))})
"""


def key_of(person: Person) -> UUID:
    key = ids.decode("cnt", person.contact.id)
    assert key is not None
    return key


async def keep(tx: WriteTx, people: list[Person], *, version: int | None = None) -> None:
    """version: of all; else each contact's own."""
    projected = [
        ContactVersion(
            key_of(person),
            person.contact.id,
            person.contact.version if version is None else version,
            facts_of(person.contact),
            person.contact.SerializeToString(),
            None,
        )
        for person in people
    ]
    written = await upsert(tx, projected)
    assert len(written) == len(people)


async def keep_engagement(tx: WriteTx, people: list[Person]) -> None:
    for person in people:
        if person.engagement:
            values = [person.engagement[name] for name in NO_ENGAGEMENT]
            await tx.execute(INSERT_ENGAGEMENT, tx.account, key_of(person), *values)


async def ask(
    tx: WriteTx, case: Case, compiled: Mapping[int, Compiled]
) -> dict[int, tuple[list[int], list[int | None]]]:
    """For each rule the places of the people for whom it holds, and when the clock may move each of them next."""
    columns: list[str] = []
    args: list[object] = [tx.account]
    for place, rule in compiled.items():
        holding = compile_sql(rule, first=len(args) + 1, now=case.now)
        args += holding.args
        wanted = compile_found(rule, first=len(args) + 1, now=case.now)
        args += wanted.args
        assert wanted.join == holding.join
        columns += [f"({one.sql}) IS TRUE AS {name}_{place}" for name, one in (("held", holding), ("wanted", wanted))]
        columns += [f"{wanted.due} AS due_{place}"]
    source = f"contacts_projection p {JOIN_ENGAGEMENT} WHERE p.account_id = $1"
    rows = {
        row["contact_id"]: row
        for row in await tx.fetch(f"SELECT p.contact_id, {', '.join(columns)} FROM {source}", *args)
    }
    assert rows.keys() == {key_of(person) for person in case.people}
    seen = [rows[key_of(person)] for person in case.people]
    found = {}
    for place in compiled:
        held, due = [row[f"held_{place}"] for row in seen], [row[f"due_{place}"] for row in seen]
        assert [row[f"wanted_{place}"] for row in seen] == [
            h or at is not None for h, at in zip(held, due, strict=True)
        ]
        found[place] = [at for at, one in enumerate(held) if one], due
    return found


def expected(case: Case, place: int) -> list[int]:
    definition = case.definitions[place]
    return [
        at
        for at, person in enumerate(case.people)
        if oracle.holds(definition, person.contact, person.engagement, case.now, case.segments)
    ]


async def agree(db: Database, case: Case, *, former: list[Person] | None = None) -> None:
    """former: what the projection knew of the same people before."""
    compiled, facts = case.compiled(), case.facts()
    matched = RuleSet(compiled).match(Batch(facts, case.now))
    account = new_account()
    async with db.write(account) as tx:
        await locks.share(tx, account)
        if former is not None:
            await keep(tx, former, version=0)
        await keep(tx, case.people)
        await keep_engagement(tx, case.people)
        for start in range(0, len(compiled), AT_ONCE):
            some = {place: compiled[place] for place in range(start, min(start + AT_ONCE, len(compiled)))}
            for place, (found, due) in (await ask(tx, case, some)).items():
                assert found == expected(case, place), case.definitions[place]
                assert list(bits(matched.get(place, 0))) == found
                flips = RuleSet({place: compiled[place]}).flips(Batch(facts, case.now))
                assert due == flips, case.definitions[place]


short = settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
long = settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))


@short
@given(case=cases())
async def test_all_three_agree(work_db, case):
    await agree(work_db, case)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@long
@given(case=cases())
async def test_all_three_agree_for_long(work_db, case):
    await agree(work_db, case)


@settings(max_examples=75, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases(), before=cases())
async def test_a_newer_version_leaves_nothing_of_the_one_before(work_db, case, before):
    """Also where it has nothing in a column that the one before had something in."""
    known = {person.contact.id for person in case.people}
    await agree(work_db, case, former=[person for person in before.people if person.contact.id in known])


async def test_every_word_against_every_other(work_db):
    """What chance might leave out: LIKE's metacharacters above all."""
    people = [
        Person(
            contacts_pb2.Contact(
                id=ids.encode("cnt", ids.new()),
                version=1,
                name=word,
                tags=[word, "other"],
                metadata_json=json.dumps({"a": word, "b": [word, "other"]}),
            ),
            {},
        )
        for word in WORDS
    ]
    definitions = [
        {"conditions": [{"field": field, "operator": operator, "value": word}]}
        for field in ("name", "tags", "metadata.a", "metadata.b")
        for operator in ("equals", "contains", "starts_with", "ends_with")
        for word in WORDS
    ]

    await agree(work_db, Case(definitions, {}, people, NOWS[0]))


@pytest.mark.parametrize("now", NOWS)
async def test_every_birthday_at_the_ends_of_days_and_februaries(work_db, now):
    """Those before 1970 are negative, and round the other way."""
    people = []
    for birthday in [*BIRTHDAYS, *(now - days * DAY for days in (0, 1, 364, 365, 366, 60 * 366))]:
        for at in (birthday, birthday - birthday % DAY, birthday - birthday % DAY - 1):
            contact = contacts_pb2.Contact(id=ids.encode("cnt", ids.new()), version=1)
            contact.created_at.FromMicroseconds(at)
            people.append(Person(contact, {}))
    conditions = [{"field": "created_at", "operator": "anniversary", "value": days} for days in DAYS]

    await agree(work_db, Case([{"conditions": [one]} for one in conditions], {}, people, now))


async def test_each_of_several_values_counts(work_db):
    """The last of one, two or three, in whichever way custom data is looked at."""
    fitting: Mapping[str, Any] = {"number": 5, "time": "2026-06-15T11:00:00Z", "text": "Premium"}
    others: Mapping[str, list[Any]] = {"number": [1, 2], "time": ["1999-01-01", "1999-01-02"], "text": ["a", "b"]}
    people = [
        Person(
            contacts_pb2.Contact(
                id=ids.encode("cnt", ids.new()),
                version=1,
                metadata_json=json.dumps({name: [*others[name][:before], fitting[name]] for name in fitting}),
            ),
            {},
        )
        for before in range(3)
    ]
    asked = [
        *(("number", operator, 5) for operator in ("equals", "gte")),
        ("number", "between", [4, 6]),
        *(("time", operator, "1d") for operator in ("in_last", "not_in_next")),
        *(("time", operator, value) for operator, value in (("after", "2026-06-15"), ("anniversary", None))),
        *(("text", operator, value) for operator, value in (("starts_with", "prem"), ("ends_with", "ium"))),
        ("text", "contains", "premium"),
    ]
    definitions = [
        {"conditions": [{"field": f"metadata.{field}", "operator": f"{negation}{operator}", "value": value}]}
        for field, operator, value in asked
        for negation in (("", "not_") if not operator.startswith("not_") else ("",))
    ]

    await agree(work_db, Case(definitions, {}, people, NOWS[0]))


async def test_every_operator_of_every_field(work_db):
    """Of somebody who has it, somebody who has nothing of it, and somebody of whom no message ever told."""
    definitions = [
        {"conditions": [{"field": field.name, "operator": f"{negation}{operator}", "value": value_of(field, operator)}]}
        for name in [*FIELDS, *PATHS]
        if (field := find(name)) is not None and field.kind is not Kind.SEGMENTS
        for operator in sorted(OPERATORS[field.kind])
        for negation in ("", "not_")
    ]
    nothing = [contacts_pb2.Contact(id=one, version=1, is_bot_active=True) for one in CONTACT_IDS[1:3]]
    people = [everything(), Person(nothing[0], NO_ENGAGEMENT), Person(nothing[1], {})]

    await agree(work_db, Case(definitions, {}, people, NOWS[0]))


def value_of(field: Field, operator: Operator) -> Any:
    if operator in (Operator.EXISTS, Operator.ANNIVERSARY):
        return None
    if operator in (Operator.IN_LAST, Operator.IN_NEXT):
        return "1d"
    if operator in (Operator.BEFORE, Operator.AFTER):
        return "2026-06-15"
    if operator in RANGES:
        return 3
    if operator is Operator.BETWEEN:
        return ["2026-06-15", "2026-06-15"] if field.kind is Kind.TIME else [3, 3]
    one = A_VALUE[field.kind]
    return [one] if operator in (Operator.IN, Operator.CONTAINS_ANY, Operator.CONTAINS_ALL) else one
