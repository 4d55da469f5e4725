"""Between the records of consent and the wire."""

from carillon.contacts.v1 import consent_pb2 as pb
from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from services.contacts.consent.record import Consent, Optout
from services.contacts.convert import CHANNELS, PREFERENCES, contact, timestamp
from services.contacts.domain.consent import Preference

CONSENT = "cns"

SAID: dict[contacts_pb2.Preference.ValueType, Preference] = {
    contacts_pb2.PREFERENCE_OPTED_IN: "opted_in",
    contacts_pb2.PREFERENCE_OPTED_OUT: "opted_out",
    contacts_pb2.PREFERENCE_UNSPECIFIED: "unknown",
}


def consent(row: Consent) -> pb.Consent:
    return pb.Consent(
        id=ids.encode(CONSENT, row.id),
        channel=CHANNELS[row.channel],
        before=PREFERENCES[row.before],
        after=PREFERENCES[row.after],
        source=row.source,
        text=row.text,
        actor=row.actor,
        at=timestamp(row.at),
    )


def optout(row: Optout) -> pb.Optout:
    return pb.Optout(
        contact=contact(row.contact),
        channels=[
            pb.ChannelOptout(channel=CHANNELS[channel], opted_out_at=timestamp(at)) for channel, at in row.channels
        ],
    )
