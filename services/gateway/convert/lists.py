"""Lists, their members, and who was passed over."""

from collections.abc import Iterable
from typing import Any

from carillon.contacts.v1 import lists_pb2 as pb
from services.gateway.convert.values import moment


def contact_list(source: pb.List) -> dict[str, Any]:
    return {
        "id": source.id,
        "name": source.name,
        "description": source.description if source.HasField("description") else None,
        "member_count": source.member_count,
        "version": source.version,
        "created_at": moment(source.created_at),
        "updated_at": moment(source.updated_at),
    }


def failures(source: Iterable[pb.ContactFailure]) -> list[dict[str, str]]:
    return [{"contact_id": one.contact_id, "code": one.code, "detail": one.detail} for one in source]


def added(source: pb.AddListMembersResponse) -> dict[str, Any]:
    return {"added": source.added, "not_found": list(source.not_found), "errors": failures(source.failed)}


def removed(source: pb.RemoveListMembersResponse) -> dict[str, Any]:
    return {"removed": source.removed, "not_found": list(source.not_found)}
