"""The services behind the gateway."""

from dataclasses import dataclass

from carillon.campaigns.v1.campaigns_pb2_grpc import CampaignsServiceStub
from carillon.contacts.v1.activity_pb2_grpc import ActivityServiceStub
from carillon.contacts.v1.bulk_pb2_grpc import BulkServiceStub
from carillon.contacts.v1.consent_pb2_grpc import ConsentServiceStub
from carillon.contacts.v1.contacts_pb2_grpc import ContactsServiceStub
from carillon.contacts.v1.exports_pb2_grpc import ExportsServiceStub
from carillon.contacts.v1.imports_pb2_grpc import ImportsServiceStub
from carillon.contacts.v1.lists_pb2_grpc import ListsServiceStub
from carillon.contacts.v1.suppression_uploads_pb2_grpc import SuppressionUploadsServiceStub
from carillon.segments.v1.segments_pb2_grpc import SegmentsServiceStub
from chassis.grpc_client import Client
from chassis.tls import Tls
from chassis.tokens import TokenSigner
from services.gateway.config import GatewaySettings


@dataclass(frozen=True, slots=True)
class Backends:
    contacts: Client[ContactsServiceStub]
    consent: Client[ConsentServiceStub]
    activity: Client[ActivityServiceStub]
    lists: Client[ListsServiceStub]
    bulk: Client[BulkServiceStub]
    imports: Client[ImportsServiceStub]
    exports: Client[ExportsServiceStub]
    suppression_uploads: Client[SuppressionUploadsServiceStub]
    segments: Client[SegmentsServiceStub]
    campaigns: Client[CampaignsServiceStub]

    async def start(self) -> None:
        """Nothing to do: channels connect with the first call."""

    async def stop(self) -> None:
        await self.contacts.stop()
        await self.consent.stop()
        await self.activity.stop()
        await self.lists.stop()
        await self.bulk.stop()
        await self.imports.stop()
        await self.exports.stop()
        await self.suppression_uploads.stop()
        await self.segments.stop()
        await self.campaigns.stop()


def connect(settings: GatewaySettings, tls: Tls | None = None) -> Backends:
    signer = TokenSigner("gateway", settings.token_private_key)
    return Backends(
        contacts=Client(settings.contacts_target, ContactsServiceStub, audience="contacts", signer=signer, tls=tls),
        consent=Client(settings.contacts_target, ConsentServiceStub, audience="contacts", signer=signer, tls=tls),
        activity=Client(settings.contacts_target, ActivityServiceStub, audience="contacts", signer=signer, tls=tls),
        lists=Client(settings.contacts_target, ListsServiceStub, audience="contacts", signer=signer, tls=tls),
        bulk=Client(settings.contacts_target, BulkServiceStub, audience="contacts", signer=signer, tls=tls),
        imports=Client(settings.contacts_target, ImportsServiceStub, audience="contacts", signer=signer, tls=tls),
        exports=Client(settings.contacts_target, ExportsServiceStub, audience="contacts", signer=signer, tls=tls),
        suppression_uploads=Client(
            settings.contacts_target, SuppressionUploadsServiceStub, audience="contacts", signer=signer, tls=tls
        ),
        segments=Client(settings.segments_target, SegmentsServiceStub, audience="segments", signer=signer, tls=tls),
        campaigns=Client(settings.campaigns_target, CampaignsServiceStub, audience="campaigns", signer=signer, tls=tls),
    )
