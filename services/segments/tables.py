"""The schema, as migrations build it. Every table leads with the account.

segments              what the API shows; points at the build that is served and, while one is made, at the next
builds                one rule and the set of contacts that match it; never changes its rule
members               the contacts of a build
contacts_projection   the contacts service's contacts as events told of them, folded for the rules; tombstones stay
engagement            what became of the messages to each contact
messages_received     which messages `engagement.messages_received` counts
due                   when the clock alone may next move a contact in or out of anything
segment_references    which segments a segment's rule names
reconciliations       how far the comparison of all this with the contacts service is
rule_sets             counts the changes to an account's rules: an evaluator that compiled another count compiles anew

States of a build:
  building     being filled, chunk by chunk, and kept in step with live changes; not visible
  announcing   visible; what differs from the build before is being told, in events
  serving      visible, told
  replaced     what an announcing build is compared with; frozen
  retired      to be swept away
  failed       gave up filling; the segment keeps serving what it served
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from chassis import tables
from services.segments.columns import PROJECTED
from services.segments.domain.facts import View

metadata = MetaData(naming_convention={"pk": "%(table_name)s_pkey", "ck": "%(table_name)s_%(constraint_name)s"})
tables.add_to(metadata)

BYTES = Text(collation="C")
TYPE_OF: dict[str, Any] = {View.TEXT: BYTES, View.ELEMENT: ARRAY(BYTES), View.BOOLEAN: Boolean, View.TIME: BigInteger}

segments = Table(
    "segments",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("name", Text, nullable=False),
    # Counts the edits, from 1.
    Column("version", BigInteger, nullable=False),
    # Null until the first build is whole.
    Column("served_build", UUID()),
    # The build of the newest rule while it is not served; null otherwise.
    Column("next_build", UUID()),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)

builds = Table(
    "builds",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("segment_id", UUID(), nullable=False),
    # JSON, {"conditions": […]} or {"rules": …}, as written.
    Column("definition", Text, nullable=False),
    # JSON, {segment id: definition} of the segments that the rule names, and those that these name, as they were.
    Column("inlined", Text, nullable=False, server_default="{}"),
    Column("state", Text, nullable=False),
    # Always the number of its rows in members.
    Column("members", BigInteger, nullable=False, server_default="0"),
    # The segment's membership revision; goes on from the build before.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    # The revision at which it became visible: that of all members from the filling (see members.revision).
    Column("cut", BigInteger, nullable=False, server_default="0"),
    # The replaced build, while announcing.
    Column("replaces", UUID()),
    # The last contact id that filling or announcing is done with.
    Column("position", UUID()),
    # Contacts that filling has looked at, of how many there were when it began, as the planner knows them.
    Column("looked_at", BigInteger, nullable=False, server_default="0"),
    Column("to_look_at", BigInteger, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("lease_until", DateTime(timezone=True)),
    # Fences off a worker whose lease another took over.
    Column("lease_generation", BigInteger, nullable=False, server_default="0"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint(
        "state IN ('building', 'announcing', 'serving', 'replaced', 'retired', 'failed')", name="state_known"
    ),
    Index("builds_segment", "account_id", "segment_id"),
    Index(
        "builds_work",
        "lease_until",
        postgresql_where=text("state IN ('building', 'announcing', 'retired')"),
    ),
    # Counters change with every batch: leave room for updates within the page.
    postgresql_with={"fillfactor": "50"},
)

members = Table(
    "members",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("build_id", UUID(), primary_key=True),
    Column("contact_id", UUID(), primary_key=True),
    Column("joined_at", DateTime(timezone=True), nullable=False),
    # The segment's revision when the contact joined; 0 where it was there when the build became visible: the cut.
    Column("revision", BigInteger, nullable=False),
    Index("members_contact", "account_id", "contact_id", "build_id"),
)

contacts_projection = Table(
    "contacts_projection",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("contact_id", UUID(), primary_key=True),
    Column("version", BigInteger, nullable=False),
    # A tombstone: keeps an event that comes late from raising the dead. Holds nothing of the contact's.
    Column("deleted", Boolean, nullable=False),
    # Facts (domain/facts.py, columns.py): folded, times as microseconds; null where empty or the default.
    *[Column(name, TYPE_OF[view]) for view, name in sorted((c[0], n) for c, n in PROJECTED.items())],
    # {column: [values]}: custom data.
    Column("more", JSONB),
    # carillon.contacts.v1.Contact, as it came; null in a tombstone.
    Column("snapshot", LargeBinary),
    # Room for the next version within the page: no index needs to know of it then.
    postgresql_with={"fillfactor": "80"},
)

engagement = Table(
    "engagement",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("contact_id", UUID(), primary_key=True),
    Column("last_message_at", BigInteger),
    Column("last_delivered_at", BigInteger),
    Column("last_opened_at", BigInteger),
    Column("last_replied_at", BigInteger),
    # Always the number of its rows in messages_received.
    Column("messages_received", BigInteger, nullable=False, server_default="0"),
    # Ids of the campaigns that sent to it.
    Column("campaigns", ARRAY(BYTES), nullable=False, server_default="{}"),
)

messages_received = Table(
    "messages_received",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("contact_id", UUID(), primary_key=True),
    # The recipient's id, `rcp_…`.
    Column("message", BYTES, primary_key=True),
)

due = Table(
    "due",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("contact_id", UUID(), primary_key=True),
    # Microseconds since 1970. May be too early, never too late.
    Column("due_at", BigInteger, nullable=False),
    Index("due_due_at", "due_at"),
)

segment_references = Table(
    "segment_references",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("segment_id", UUID(), primary_key=True),
    Column("names", UUID(), primary_key=True),
    Index("segment_references_names", "account_id", "names"),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    # When a pass begins, or began.
    Column("next_at", DateTime(timezone=True), nullable=False),
    # Of the pass under way; null otherwise.
    Column("started_at", DateTime(timezone=True)),
    # Of the last whole pass.
    Column("finished_at", DateTime(timezone=True)),
    # The contacts are done, and the builds' counts are being looked at.
    Column("counting", Boolean, nullable=False, server_default="false"),
    # The last contact or build that is done.
    Column("position", UUID()),
    Column("lease_until", DateTime(timezone=True)),
    # Fences off a worker whose lease another took over.
    Column("lease_generation", BigInteger, nullable=False, server_default="0"),
    Index("reconciliations_next_at", "next_at"),
)

rule_sets = Table(
    "rule_sets",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("generation", BigInteger, nullable=False),
)
