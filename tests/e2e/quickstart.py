"""The README's walk-through by the generated client: `python quickstart.py URL KEY SENDER_ID`, the client on the path.

Prints the campaign's final stats as JSON.
"""

import io
import json
import sys
import time
from typing import Any

from carillon_client import AuthenticatedClient
from carillon_client import models as m
from carillon_client.api.campaigns import create_campaign, get_campaign, start_campaign
from carillon_client.api.contacts import create_contact, get_contact, list_contacts, update_contact
from carillon_client.api.imports import import_contacts
from carillon_client.api.recipients import list_recipients
from carillon_client.api.segments import create_segment, get_segment, list_segment_members
from carillon_client.api.templates import create_template
from carillon_client.types import File

ROWS = b"phone,name,tags\n+15550100001,Ann,premium\n+15550100002,Bob,\n"
PATIENCE_SECONDS = 60.0


def main(url: str, key: str, sender_id: str) -> None:
    client = AuthenticatedClient(base_url=url, token=key)
    contact = m.ContactCreate(phone="+1234567890", name="John Doe", tags=["premium"])
    made = create_contact.sync(client=client, body=contact, idempotency_key="john")
    again = create_contact.sync_detailed(client=client, body=contact, idempotency_key="john")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.parsed.id == made.id
    changed = update_contact.sync(made.id, client=client, body=m.ContactUpdate(stage="customer"), if_match='"1"')
    assert (changed.stage, changed.version) == ("customer", 2)
    refused = update_contact.sync(made.id, client=client, body=m.ContactUpdate(stage="lost"), if_match='"1"')
    assert isinstance(refused, m.Problem), refused
    assert (refused.code, get_contact.sync(made.id, client=client).stage) == ("version_mismatch", "customer")
    upload = m.ImportContactsBody(file=File(payload=io.BytesIO(ROWS), file_name="contacts.csv", mime_type="text/csv"))
    assert import_contacts.sync(client=client, body=upload).imported == 2
    assert len(list_contacts.sync(client=client, tag="premium").data) == 2
    campaign = send(client, sender_id)
    print(json.dumps(campaign.stats.to_dict()))


def send(client: Any, sender_id: str) -> Any:
    """The campaign to the premium ones, when all of it is sent."""
    rule = m.Condition(field="tags", operator=m.ConditionOperator.CONTAINS, value="premium")
    segment = create_segment.sync(client=client, body=m.SegmentCreate(name="Premium", conditions=[rule]))
    wait(lambda: get_segment.sync(segment.id, client=client), lambda found: found.status == "ready")
    assert len(list_segment_members.sync(segment.id, client=client).data) == 2
    template = create_template.sync(client=client, body=m.TemplateCreate(name="t", body="Hi {{ name }}, by client"))
    body = m.CampaignCreate(name="c", template_id=template.id, sender_id=sender_id, segment_id=segment.id)
    campaign = create_campaign.sync(client=client, body=body)
    assert start_campaign.sync(campaign.id, client=client).status == "running"
    found = wait(lambda: get_campaign.sync(campaign.id, client=client), lambda found: found.status == "completed")
    assert len(list_recipients.sync(campaign.id, client=client).data) == 2
    return found


def wait(look: Any, holds: Any) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = look()
        if holds(found):
            return found
        if time.monotonic() > deadline:
            raise SystemExit(f"still {found}")
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
