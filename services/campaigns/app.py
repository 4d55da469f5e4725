"""The composition roots: what each process of this service is made of."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1.audiences_pb2_grpc import AudiencesServiceStub
from carillon.contacts.v1.contacts_pb2_grpc import ContactsServiceStub
from carillon.contacts.v1.lists_pb2_grpc import ListsServiceStub
from carillon.contacts.v1.replies_pb2_grpc import RepliesServiceStub
from carillon.segments.v1.segments_pb2_grpc import SegmentsServiceStub
from chassis import schema, telemetry, tls
from chassis.db import Database
from chassis.destinations import Networks, guarded_socket
from chassis.grpc_client import Client
from chassis.grpc_server import Server
from chassis.ids import AccountId
from chassis.nats import Nats, Poker
from chassis.relay import PUBLISH_SECONDS, Relay, topic
from chassis.runner import Process
from chassis.sealing import Sealer
from chassis.tokens import TokenSigner, TokenVerifier
from chassis.watch import Watch
from services.campaigns import peers
from services.campaigns.config import CampaignsSettings, ServeSettings, WorkSettings
from services.campaigns.consumers import consumers
from services.campaigns.providers.registry import Reach
from services.campaigns.replying import Replies
from services.campaigns.service.audiences import Audiences
from services.campaigns.service.campaigns import Campaigns
from services.campaigns.service.links import FollowedLinks
from services.campaigns.service.previews import Previews
from services.campaigns.service.quiet_hours import QuietHours
from services.campaigns.service.receipts import Receipts
from services.campaigns.service.recipients import Recipients
from services.campaigns.service.sender_trials import SenderTrials
from services.campaigns.service.senders import Senders
from services.campaigns.service.templates import Templates
from services.campaigns.service.timelines import Timelines
from services.campaigns.service.trials import Trials
from services.campaigns.service.uploads import Uploads
from services.campaigns.servicer import CampaignsServicer
from services.campaigns.work.cleaner import clean
from services.campaigns.work.dispatcher import Dispatcher
from services.campaigns.work.finishing import Finisher
from services.campaigns.work.freezer import Freezer
from services.campaigns.work.looks import LOOKS
from services.campaigns.work.polling import poll
from services.campaigns.work.receipts import ReceiptApplier
from services.campaigns.work.reconciling import Checked, Reconciler
from services.campaigns.work.scheduler import Scheduler
from services.campaigns.work.sending import Sendings

SERVICE = "campaigns"
VERSIONS = Path(__file__).parent / "migrations" / "versions"

# No transaction of a worker asks nothing for longer: the relay's, which publishes within. One that does is of a worker
# that stands still, and whoever takes its chunks over would wait for its locks.
LONGEST_WORK = PUBLISH_SECONDS + 1.0
# Thresholds; messages under way are thousands of objects.
COLLECTOR = (20_000, 20, 100)

# Pokes: a campaign has something to do; receipts were stored.
CAMPAIGNS = "campaigns.work"
RECEIPTS = "campaigns.receipts"
# Seconds that receipts gather before they are applied together: a provider posts them one by one.
LINGER = 0.1


async def serve(process: Process, settings: ServeSettings) -> None:
    telemetry.setup(SERVICE, "serve", log_level=settings.log_level)
    db, nats = await connect(process, settings)
    own = tls.opened(process, settings)
    contacts, audiences = ask_peers(process, settings, own)
    sendings = reach_providers(process, settings)
    wake, wake_receipts = Poker(nats, CAMPAIGNS), Poker(nats, RECEIPTS)
    sealer = Sealer(settings.secrets_keys.get_secret_value())
    replies = Replies(db, tell_contacts(process, settings, own).tell)
    servicer = CampaignsServicer(
        templates=Templates(db),
        senders=Senders(db, sealer, allowed=settings.allowed_networks),
        campaigns=Campaigns(db, audiences, wake=wake),
        audiences=Audiences(db, contacts, audiences),
        trials=Trials(db, contacts, sendings.once),
        uploads=Uploads(db, contacts, limit_bytes=settings.upload_limit_bytes),
        recipients=Recipients(db),
        receipts=Receipts(db, sealer, public_url=settings.public_url, replies=replies, wake=wake_receipts),
        quiet_hours=QuietHours(db, wake=wake),
        links=FollowedLinks(db, sealer, replies=replies, wake=wake_receipts),
        timelines=Timelines(db),
        previews=Previews(db, contacts),
        sender_trials=SenderTrials(db, contacts, sendings.of_sender),
    )
    server = Server(settings.grpc_bind, TokenVerifier(SERVICE, settings.token_public_keys), tls=own)
    server.add(pb.DESCRIPTOR.services_by_name["CampaignsService"], servicer)
    process.add(server)


async def work(process: Process, settings: WorkSettings) -> None:
    telemetry.setup(SERVICE, "work", log_level=settings.log_level)
    db, nats = await connect(process, settings)
    own = tls.opened(process, settings)
    contacts, audiences = ask_peers(process, settings, own)
    sendings = reach_providers(process, settings)
    dispatcher = Dispatcher(
        db,
        contacts,
        sendings,
        batches=settings.dispatch_batches,
        chunks=settings.dispatch_chunks,
        woken=await listen(nats, CAMPAIGNS),
        lease_seconds=settings.dispatch_lease_seconds,
    )

    async def tidy() -> bool:
        return await clean(db, settings.retention)

    process.loop("dispatcher", dispatcher.run)
    freezer = Freezer(db, contacts, audiences, wake=Poker(nats, CAMPAIGNS))
    process.loop("freezer", polling("freezer", freezer.step, await listen(nats, CAMPAIGNS)))
    process.loop("scheduler", polling("scheduler", Scheduler(db, wake=Poker(nats, CAMPAIGNS)).step, None))
    process.loop("finisher", polling("finisher", Finisher(db).step, await listen(nats, CAMPAIGNS)))
    process.loop("receipts", polling("receipts", ReceiptApplier(db).step, await listen(nats, RECEIPTS), LINGER))
    replies = Replies(db, tell_contacts(process, settings, own).tell)
    process.loop("replies", polling("replies", replies.step, await listen(nats, RECEIPTS), LINGER))
    if settings.reconcile_hours:
        process.loop("reconciler", Reconciler(db, interval=timedelta(hours=settings.reconcile_hours)).run)
    for consumer in consumers(nats, db):
        process.loop("consumer", consumer.run)
    process.loop("cleaner", lambda: poll("cleaner", tidy, interval=settings.cleaning_seconds))
    process.loop("relay", Relay(db, nats, service=SERVICE).run)
    process.loop("watch", Watch(db, LOOKS).run)
    process.collector = COLLECTOR


async def reconcile(settings: WorkSettings, *, account: AccountId | None) -> AsyncIterator[Checked]:
    """Every campaign's numbers against its ledger, at once; of one account, or of all."""
    telemetry.setup(SERVICE, "reconcile", log_level=settings.log_level)
    async with Database.opened(settings.database_url, name=SERVICE) as db:
        async for checked in Reconciler(db, interval=timedelta(0)).everything(account):
            yield checked


class Http:
    """The connections to providers."""

    def __init__(self, *, allowed: Networks) -> None:
        """allowed: where providers may be besides the public Internet."""
        # No limit of its own: a call that queued behind others would begin long after its recipient was checked.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30, socket_factory=guarded_socket(allowed))
        self.session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def start(self) -> None:
        """Nothing to do: connections open with the calls."""

    async def stop(self) -> None:
        await self.session.close()


async def connect(process: Process, settings: CampaignsSettings) -> tuple[Database, Nats]:
    idle = settings.dispatch_lease_seconds + LONGEST_WORK if isinstance(settings, WorkSettings) else None
    db = await Database.open(settings.database_url, pool_size=settings.database_pool, name=SERVICE, idle_seconds=idle)
    # Who serves needs no broker: events wait in the outbox.
    needed = isinstance(settings, WorkSettings)
    nats = Nats.of(settings, SERVICE, wait=needed)
    db.on_events = Poker(nats, topic(SERVICE))
    process.add(db)
    process.add(nats)
    process.ready_check("schema", lambda: schema.check(db, VERSIONS))
    if needed:
        process.ready_check("nats", nats.ping)
    return db, nats


def ask_peers(
    process: Process, settings: CampaignsSettings, own: tls.Tls | None
) -> tuple[peers.Contacts, peers.Audiences]:
    signer = TokenSigner(SERVICE, settings.token_private_key)
    contacts = Client(settings.contacts_target, ContactsServiceStub, audience="contacts", signer=signer, tls=own)
    lists = Client(settings.contacts_target, ListsServiceStub, audience="contacts", signer=signer, tls=own)
    audiences = Client(settings.contacts_target, AudiencesServiceStub, audience="contacts", signer=signer, tls=own)
    segments = Client(settings.segments_target, SegmentsServiceStub, audience="segments", signer=signer, tls=own)
    for client in (contacts, lists, audiences, segments):
        process.add(client)
    return peers.Contacts(contacts), peers.Audiences(peers.Segments(segments), peers.Lists(lists, audiences))


def tell_contacts(process: Process, settings: CampaignsSettings, own: tls.Tls | None) -> peers.Told:
    signer = TokenSigner(SERVICE, settings.token_private_key)
    client = Client(settings.contacts_target, RepliesServiceStub, audience="contacts", signer=signer, tls=own)
    process.add(client)
    return peers.Told(client)


def reach_providers(process: Process, settings: ServeSettings | WorkSettings) -> Sendings:
    http = Http(allowed=settings.allowed_networks)
    process.add(http)
    sendings = Sendings(
        Reach(http.session, settings.allowed_networks, settings.provider_timeout_seconds),
        Sealer(settings.secrets_keys.get_secret_value()),
        public_url=settings.public_url,
    )
    process.add(sendings.providers)
    return sendings


async def listen(nats: Nats, topic_name: str) -> asyncio.Event:
    event = asyncio.Event()
    await nats.on_poke(topic_name, event)
    return event


def polling(
    name: str, step: Callable[[], Awaitable[bool]], woken: asyncio.Event | None, linger: float = 0.0
) -> Callable[[], Coroutine[Any, Any, None]]:
    return lambda: poll(name, step, woken=woken, linger=linger)
