"""Lists on the wire."""

from uuid import UUID

from carillon.contacts.v1 import lists_pb2 as pb
from chassis import ids
from services.contacts.convert import timestamp
from services.contacts.domain.problems import Problem
from services.contacts.lists.record import ContactList


def message(row: ContactList) -> pb.List:
    return pb.List(
        id=ids.encode("lst", row.id),
        name=row.name,
        description=row.description,
        member_count=row.member_count,
        version=row.version,
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
    )


def failure(contact_id: UUID, problem: Problem) -> pb.ContactFailure:
    return pb.ContactFailure(contact_id=ids.encode("cnt", contact_id), code=problem.code, detail=problem.detail)
