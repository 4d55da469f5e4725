"""One message of each type of event: what docs/events.md shows, and tests read."""

from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from services.gateway.convert.events import MESSAGES

CONTACT, LIST, SEGMENT = (
    "cnt_01h455vb4pex5vsknk084sn02q",
    "lst_01h455vb4pex5vsknk084sn02q",
    "seg_01h455vb4pex5vsknk084sn02q",
)
CAMPAIGN, RECIPIENT = "cmp_01h455vb4pex5vsknk084sn02q", "rcp_01h455vb4pex5vsknk084sn02q"
THEN, NOW = "2026-03-01T09:00:00Z", "2026-03-01T09:30:00.250Z"

A_CONTACT = {
    "id": CONTACT,
    "phone": "+12015550123",
    "email": "john@example.com",
    "first_name": "John",
    "last_name": "Doe",
    "name": "John Doe",
    "country": "US",
    "tags": ["premium", "active"],
    "metadata_json": '{"code":"SAVE20"}',
    "is_bot_active": True,
    "preferences": {"sms": "PREFERENCE_OPTED_IN"},
    "channels": ["sms", "email"],
    "phone_validity": "VALIDITY_VALID",
    "lists": [LIST],
    "version": 3,
    "created_at": THEN,
    "updated_at": NOW,
}
A_LIST = {
    "id": LIST, "name": "Spring", "description": "Who asked for the spring offer", "member_count": 120, "version": 2,
    "created_at": THEN, "updated_at": NOW,
}  # fmt: skip
A_SUPPRESSION = {
    "id": "sup_01h455vb4pex5vsknk084sn02q", "phone": "+12015550123", "channels": ["CHANNEL_SMS"],
    "reason": "asked by phone", "created_at": NOW,
}  # fmt: skip
A_SEGMENT = {
    "id": SEGMENT, "name": "Premium customers", "status": "SEGMENT_STATUS_READY", "member_count": 512, "as_of": NOW,
    "version": 2, "created_at": THEN, "updated_at": NOW,
    "rule_json": '{"conditions":[{"field":"tags","operator":"contains","value":"premium"}]}',
}  # fmt: skip
A_CAMPAIGN = {
    "id": CAMPAIGN, "name": "March offer", "template_id": "tmpl_01h455vb4pex5vsknk084sn02q",
    "sender_id": "sender_01h455vb4pex5vsknk084sn02q", "segment_id": SEGMENT, "status": "CAMPAIGN_STATUS_RUNNING",
    "variables_json": "{}", "stats": {"total": 512, "pending": 512}, "started_at": NOW, "version": 4,
    "created_at": THEN, "updated_at": NOW,
}  # fmt: skip
A_RECIPIENT = {
    "id": RECIPIENT, "contact_id": CONTACT, "address": "+12015550123", "variables_json": "{}",
    "status": "RECIPIENT_STATUS_SENT", "sent_at": NOW, "provider_message_id": "SM42", "state_revision": 2,
}  # fmt: skip
AN_IMPORT = {
    "id": "imp_01h455vb4pex5vsknk084sn02q", "status": "IMPORT_STATUS_COMPLETED", "rows": 3, "imported": 2, "failed": 1,
    "errors": [{"row": 4, "reason": "Invalid phone format", "code": "invalid_phone", "column": "phone"}],
    "created_at": THEN, "finished_at": NOW, "file_name": "contacts.csv",
}  # fmt: skip


def delivered(status: str, **more: Any) -> dict[str, Any]:
    return {
        "campaign_id": CAMPAIGN,
        "channel": "CHANNEL_SMS",
        "recipients": [A_RECIPIENT | {"status": f"RECIPIENT_STATUS_{status}"} | more],
    }


def at_version(source: dict[str, Any], version: int) -> dict[str, Any]:
    return source | {"version": version}


DATA: dict[str, dict[str, Any]] = {
    "contact.created": {"changes": [{"contact": at_version(A_CONTACT, 1)}]},
    "contact.updated": {"changes": [{"contact": A_CONTACT, "changed_fields": ["tags"]}]},
    "contact.deleted": {
        "deletions": [
            {"id": CONTACT, "version": 4, "deleted_at": NOW, "phone": "+12015550123", "phone_hash": "3q2+7w=="}
        ]
    },
    "list.created": {"list": at_version(A_LIST, 1)},
    "list.updated": {"list": A_LIST},
    "list.deleted": {"id": LIST, "version": 3, "deleted_at": NOW},
    "suppression.created": {"suppressions": [A_SUPPRESSION]},
    "suppression.updated": {"suppressions": [A_SUPPRESSION | {"channels": ["CHANNEL_SMS", "CHANNEL_VOICE"]}]},
    "suppression.deleted": {"suppressions": [A_SUPPRESSION]},
    "import.completed": {"import": AN_IMPORT},
    "segment.created": {"segment": A_SEGMENT | {"status": "SEGMENT_STATUS_BUILDING", "member_count": 0, "version": 1}},
    "segment.updated": {"segment": A_SEGMENT},
    "segment.deleted": {"segment": at_version(A_SEGMENT, 3)},
    "segment.members_changed": {
        "segments": [
            {
                "segment_id": SEGMENT,
                "joined": [{"contact_id": CONTACT, "membership_revision": 1, "at": NOW}],
                "left": [{"contact_id": "cnt_01h455vb4pex5vsknk084sn02r", "membership_revision": 2, "at": NOW}],
                "revision": 513,
            }
        ]
    },
    "campaign.created": {"campaign": A_CAMPAIGN | {"status": "CAMPAIGN_STATUS_DRAFT", "version": 1}},
    "campaign.updated": {"campaign": A_CAMPAIGN | {"status": "CAMPAIGN_STATUS_DRAFT", "version": 2}},
    "campaign.deleted": {"campaign": A_CAMPAIGN | {"status": "CAMPAIGN_STATUS_DRAFT", "version": 3}},
    "campaign.started": {"campaign": A_CAMPAIGN},
    "campaign.paused": {"campaign": A_CAMPAIGN | {"status": "CAMPAIGN_STATUS_PAUSED", "version": 5}},
    "campaign.resumed": {"campaign": at_version(A_CAMPAIGN, 6)},
    "campaign.completed": {
        "campaign": A_CAMPAIGN
        | {"status": "CAMPAIGN_STATUS_COMPLETED", "stats": {"total": 512, "sent": 512, "delivered": 500}, "version": 7}
    },
    "campaign.cancelled": {
        "campaign": A_CAMPAIGN
        | {"status": "CAMPAIGN_STATUS_CANCELLED", "stats": {"total": 512, "sent": 12, "skipped": 500}, "version": 7}
    },
    "message.sent": delivered("SENT"),
    "message.delivered": delivered("DELIVERED", delivered_at=NOW, state_revision=3),
    "message.failed": delivered("FAILED", reason="provider_refused", state_revision=3),
    "account.created": {
        "account": {"id": "acct_01h455vb4pex5vsknk084sn02q", "name": "Example Ltd", "created_at": THEN}
    },
}

EXAMPLES: dict[str, Message] = {
    event_type: json_format.ParseDict(data, MESSAGES[event_type]()) for event_type, data in DATA.items()
}
