"""The campaigns service as it runs, between peers of the test's own.

`serve` answers real gRPC; the parts of `work` are started as a test needs them. Contacts and segments are replaced at
the stub by servicers on a real gRPC server; the provider is a real HTTP server that keeps a log of what it accepted.
"""

import asyncio
import csv
import io
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
from aiohttp import web

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.campaigns.v1.campaigns_pb2_grpc import CampaignsServiceStub
from carillon.contacts.v1 import audiences_pb2, lists_pb2, replies_pb2
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from carillon.contacts.v1.audiences_pb2_grpc import AudiencesServiceStub
from carillon.contacts.v1.contacts_pb2_grpc import ContactsServiceStub
from carillon.contacts.v1.lists_pb2_grpc import ListsServiceStub
from carillon.contacts.v1.replies_pb2_grpc import RepliesServiceStub
from carillon.segments.v1 import segments_pb2 as segments_pb
from carillon.segments.v1.segments_pb2_grpc import SegmentsServiceStub
from chassis import ids
from chassis.call import Call, Outgoing
from chassis.db import Database
from chassis.destinations import read_networks
from chassis.errors import InvalidArgument, NotFound, Reason, Unavailable
from chassis.grpc_client import Client
from chassis.grpc_server import Server, rpc
from chassis.ids import AccountId
from chassis.sealing import Sealer
from services.campaigns import app, peers
from services.campaigns.domain.stats import NAMES
from services.campaigns.providers.registry import Reach
from services.campaigns.replying import Replies, Tell
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import dispatch
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
from services.campaigns.work.dispatcher import Dispatcher
from services.campaigns.work.finishing import Finisher
from services.campaigns.work.freezer import Freezer
from services.campaigns.work.polling import poll
from services.campaigns.work.receipts import ReceiptApplier
from services.campaigns.work.scheduler import Scheduler
from services.campaigns.work.sending import Sendings
from tests.service.stack import Keys, eventually

SECRETS_KEY = "c2l4dGVlbiBieXRlcyEhIXNpeHRlZW4gYnl0ZXMhISE="
PUBLIC_URL = "http://carillon.test"
# Where the test's own providers are.
PROVIDER_NETWORKS = "127.0.0.0/8"
LOOPBACK = read_networks(PROVIDER_NETWORKS)


Members = Sequence[contacts_pb.Contact]


class FakeContacts:
    """Says who may be messaged, and who is who."""

    def __init__(self) -> None:
        # By address.
        self.refused: dict[str, int] = {}
        # By contact.
        self.refused_contacts: dict[str, int] = {}
        self.available = True
        # Awaited before a check is answered.
        self.before_check: Callable[[], Awaitable[None]] | None = None
        self.calls = 0
        # Those that are known, by account and id.
        self.known: dict[tuple[AccountId, str], contacts_pb.Contact] = {}

    def add(self, account: AccountId, *people: contacts_pb.Contact) -> None:
        self.known.update({(account, one.id): one for one in people})

    @rpc(admits={"campaigns"})
    async def GetContact(self, call: Call, request: contacts_pb.GetContactRequest) -> contacts_pb.GetContactResponse:
        if (call.account, request.id) not in self.known:
            raise NotFound(Reason.NOT_FOUND, "no such contact")
        return contacts_pb.GetContactResponse(contact=self.known[call.account, request.id])

    @rpc(admits={"campaigns"})
    async def CheckMessageable(
        self, call: Call, request: contacts_pb.CheckMessageableRequest
    ) -> contacts_pb.CheckMessageableResponse:
        self.calls += 1
        if not self.available:
            raise Unavailable(Reason.UNAVAILABLE, "down")
        if self.before_check is not None:
            await self.before_check()
        assert 1 <= len(request.targets) <= 500
        return contacts_pb.CheckMessageableResponse(
            refusals=[
                self.refused_contacts.get(target.contact_id, 0) or self.refused.get(target.address, 0)  # type: ignore[misc]
                for target in request.targets
            ]
        )


class FakeReplies:
    """Keeps what it is told of replies, each once, and knows whose an address is."""

    def __init__(self, contacts: FakeContacts) -> None:
        self._contacts = contacts
        # By id, in the order in which they were taken.
        self.taken: dict[str, replies_pb2.Reply] = {}
        self.calls = 0
        # By address.
        self.owners: dict[str, str] = {}
        # Called with each request, before it is taken and after.
        self.before: Callable[[], Awaitable[None]] | None = None
        self.after: Callable[[], Awaitable[None]] | None = None
        # Texts that are refused for good.
        self.refused: set[str] = set()

    def reset(self) -> None:
        self.taken.clear()
        self.owners.clear()
        self.refused.clear()
        self.before = self.after = None
        self.calls = 0

    @rpc(admits={"campaigns"})
    async def TakeReplies(self, call: Call, request: replies_pb2.TakeRepliesRequest) -> replies_pb2.TakeRepliesResponse:
        self.calls += 1
        if not self._contacts.available:
            raise Unavailable(Reason.UNAVAILABLE, "down")
        assert 1 <= len(request.replies) <= 100
        if self.before is not None:
            await self.before()
        for one in request.replies:
            if one.text in self.refused:
                raise InvalidArgument(Reason.VALIDATION_FAILED, "refused")
            self.taken.setdefault(one.id, one)
        if self.after is not None:
            await self.after()
        return replies_pb2.TakeRepliesResponse(
            contact_ids=[self.owners.get(one.address, "") for one in request.replies]
        )


class FakeLists:
    """Streams the members that a test gave it; the lists and the audiences of contacts."""

    def __init__(self, contacts: FakeContacts) -> None:
        self._contacts = contacts
        # By account and list id; pages.
        self.members: dict[tuple[AccountId, str], list[Members]] = {}

    def add(self, account: AccountId, members: Members, *, page: int = 500) -> str:
        list_id = ids.encode("lst", ids.new())
        self.members[account, list_id] = paged(members, page)
        return list_id

    @rpc(admits={"campaigns"})
    async def GetList(self, call: Call, request: lists_pb2.GetListRequest) -> lists_pb2.GetListResponse:
        count = sum(map(len, self._members(call, request.id)))
        return lists_pb2.GetListResponse(list=lists_pb2.List(id=request.id, member_count=count))

    @rpc(admits={"campaigns"})
    async def StreamListMembers(
        self, call: Call, request: audiences_pb2.StreamListMembersRequest
    ) -> AsyncIterator[audiences_pb2.StreamListMembersResponse]:
        for page in self._members(call, request.list_id):
            yield audiences_pb2.StreamListMembersResponse(contacts=page)

    @rpc(admits={"campaigns"})
    async def GetContacts(
        self, call: Call, request: audiences_pb2.GetContactsRequest
    ) -> audiences_pb2.GetContactsResponse:
        assert len(request.ids) <= 500
        found = {one: self._contacts.known.get((call.account, one)) for one in request.ids}
        return audiences_pb2.GetContactsResponse(contacts=[one for one in found.values() if one is not None])

    def _members(self, call: Call, list_id: str) -> list[Members]:
        if (call.account, list_id) not in self.members:
            raise NotFound(Reason.NOT_FOUND, "no such list")
        return self.members[call.account, list_id]


class FakeSegments:
    """Streams the members that a test gave it."""

    def __init__(self) -> None:
        # By account and segment id; pages.
        self.members: dict[tuple[AccountId, str], list[Members]] = {}
        # Awaited before each page, to stop a stream where a test wants it.
        self.before_page: Callable[[int], Awaitable[None]] | None = None

    @rpc(admits={"campaigns"})
    async def GetSegment(self, call: Call, request: segments_pb.GetSegmentRequest) -> segments_pb.GetSegmentResponse:
        if (call.account, request.id) not in self.members:
            raise NotFound(Reason.NOT_FOUND, "no such segment")
        count = sum(map(len, self.members[call.account, request.id]))
        return segments_pb.GetSegmentResponse(segment=segments_pb.Segment(id=request.id, member_count=count))

    @rpc(admits={"campaigns"})
    async def StreamAudience(
        self, call: Call, request: segments_pb.StreamAudienceRequest
    ) -> AsyncIterator[segments_pb.StreamAudienceResponse]:
        if (call.account, request.segment_id) not in self.members:
            raise NotFound(Reason.NOT_FOUND, "no such segment")
        for number, page in enumerate(self.members[call.account, request.segment_id]):
            if self.before_page is not None:
                await self.before_page(number)
            yield segments_pb.StreamAudienceResponse(contacts=page)

    def add(self, account: AccountId, members: Members, *, page: int = 500) -> str:
        segment_id = ids.encode("seg", ids.new())
        self.members[account, segment_id] = paged(members, page)
        return segment_id


def paged(members: Members, page: int) -> list[Members]:
    """In the order of ids, as they are streamed."""
    ordered = sorted(members, key=lambda member: ids.decode("cnt", member.id) or UUID(int=0))
    return [ordered[at : at + page] for at in range(0, len(ordered), page)]


# What a provider does with a request: a status, and headers.
Behaviour = Callable[[dict[str, Any]], Awaitable[tuple[int, dict[str, str]]]]


class Provider:
    """A carrier that speaks the generic HTTP protocol and honours keys."""

    def __init__(self) -> None:
        self.accepted: dict[str, dict[str, Any]] = {}
        self.requests: list[dict[str, Any]] = []
        self.repeats: Counter[str] = Counter()
        self.under_way = 0
        # Before a message is accepted; answers other than 200 refuse it.
        self.before: Behaviour | None = None
        # After it is accepted, before the answer.
        self.after: Callable[[dict[str, Any]], Awaitable[None]] | None = None
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        application = web.Application()
        application.router.add_post("/messages", self._message)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/messages"

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _message(self, request: web.Request) -> web.Response:
        message = await request.json()
        message["key"] = request.headers["Idempotency-Key"]
        message["authorization"] = request.headers.get("Authorization")
        self.requests.append(message)
        self.under_way += 1
        try:
            return await self._answer(message)
        finally:
            self.under_way -= 1

    async def _answer(self, message: dict[str, Any]) -> web.Response:
        if self.before is not None:
            status, headers = await self.before(message)
            if status != 200:
                return web.json_response({"error": "no"}, status=status, headers=headers)
        if message["key"] in self.accepted:
            self.repeats[message["key"]] += 1
        else:
            self.accepted[message["key"]] = message | {"id": f"pm-{ids.new().hex}"}
        if self.after is not None:
            await self.after(message)
        return web.json_response({"id": self.accepted[message["key"]]["id"]})

    @property
    def addresses(self) -> list[str]:
        return [message["to"] for message in self.accepted.values()]


@dataclass
class World:
    serve_db: Database
    work_db: Database
    admin_url: str
    work_url: str
    contacts_target: str
    segments_target: str
    target: str
    keys: Keys
    contacts: FakeContacts
    segments: FakeSegments
    lists: FakeLists
    provider: Provider
    client: Client[CampaignsServiceStub]
    peers_contacts: peers.Contacts
    peers_audiences: peers.Audiences
    sendings: Sendings
    replies: FakeReplies
    tell: Tell
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    # --- calls

    async def call(
        self, account: AccountId, name: str, request: Any, *, key: str = "", scopes: tuple[str, ...] = ()
    ) -> Any:
        method = getattr(self.client.stub, name)
        call = Outgoing(account, scopes, idempotency=(key, b"fingerprint-" + name.encode()) if key else None)
        return await self.client.unary(method, request, call=call, timeout=10)

    async def template(
        self, account: AccountId, body: str = "Hello {{ name | default: 'you' }}", **fields: Any
    ) -> pb.Template:
        request = pb.CreateTemplateRequest(name="T", channel=contacts_pb.CHANNEL_SMS, body=body)
        request.MergeFrom(pb.CreateTemplateRequest(**fields))
        return (await self.call(account, "CreateTemplate", request)).template

    async def sender(self, account: AccountId, settings: str = "", **fields: Any) -> pb.Sender:
        request = pb.CreateSenderRequest(
            name="S",
            channel=contacts_pb.CHANNEL_SMS,
            address="CARILLON",
            provider="http",
            settings_json=f'{{"url": "{self.provider.url}"{settings}}}',
        )
        request.MergeFrom(pb.CreateSenderRequest(**fields))
        return (await self.call(account, "CreateSender", request)).sender

    async def campaign(self, account: AccountId, **fields: Any) -> pb.Campaign:
        """With a template and a sender made for it, unless they are given."""
        if "template_id" not in fields:
            fields["template_id"] = (await self.template(account)).id
        if "sender_id" not in fields:
            fields["sender_id"] = (await self.sender(account)).id
        request = pb.CreateCampaignRequest(name="C", **fields)
        return (await self.call(account, "CreateCampaign", request)).campaign

    async def upload(
        self,
        account: AccountId,
        campaign: pb.Campaign,
        text: str | bytes,
        *,
        end: bool = True,
        key: str = "",
        **options: Any,
    ) -> pb.UploadRecipientsResponse:
        raw = text.encode() if isinstance(text, str) else text

        async def messages() -> AsyncIterator[pb.UploadRecipientsRequest]:
            yield pb.UploadRecipientsRequest(options=pb.UploadRecipientsOptions(campaign_id=campaign.id, **options))
            for at in range(0, len(raw), 65536):
                yield pb.UploadRecipientsRequest(chunk=raw[at : at + 65536])
            if end:
                yield pb.UploadRecipientsRequest(end=True)

        call = Outgoing(account, idempotency=(key, b"upload") if key else None)
        response, _ = await self.client.stream_in(self.client.stub.UploadRecipients, messages(), call=call, timeout=60)
        return response

    async def ready(self, account: AccountId, count: int, settings: str = "", **fields: Any) -> pb.Campaign:
        """A draft with so many recipients."""
        sender = await self.sender(account, settings)
        campaign = await self.campaign(account, sender_id=sender.id, **fields)
        await self.upload(account, campaign, numbers_csv(count))
        return campaign

    async def start(self, account: AccountId, campaign: pb.Campaign) -> pb.Campaign:
        response = await self.call(account, "StartCampaign", pb.StartCampaignRequest(id=campaign.id))
        self.woken.set()
        return response.campaign

    async def leased(
        self, account: AccountId, campaign: pb.Campaign, *, seconds: float = 60
    ) -> tuple[dispatch.Lease, list[asyncpg.Record]]:
        """Started, with its first chunk as a worker takes it: the lease, and the recipients that are open."""
        await self.start(account, campaign)
        campaign_id = ids.decode("cmp", campaign.id)
        assert campaign_id is not None
        async with self.work_db.across() as tx:
            lease = await dispatch.lease(tx, account, campaign_id, seconds=seconds)
            assert lease is not None
            return lease, await dispatch.open_recipients(tx, lease)

    async def get(self, account: AccountId, campaign: pb.Campaign) -> pb.Campaign:
        return (await self.call(account, "GetCampaign", pb.GetCampaignRequest(id=campaign.id))).campaign

    async def recipients(self, account: AccountId, campaign: pb.Campaign) -> list[pb.Recipient]:
        found: list[pb.Recipient] = []
        cursor = ""
        while True:
            request = pb.ListRecipientsRequest(campaign_id=campaign.id, per_page=100, cursor=cursor)
            page = await self.call(account, "ListRecipients", request)
            found.extend(page.recipients)
            cursor = page.next_cursor
            if not cursor:
                return found

    async def until(
        self, account: AccountId, campaign: pb.Campaign, probe: Callable[[pb.Campaign], bool], *, seconds: float = 20
    ) -> pb.Campaign:
        found = await self.get(account, campaign)

        async def look() -> bool:
            nonlocal found
            # What is due is taken up now, and not after the second that the dispatcher sleeps.
            self.woken.set()
            found = await self.get(account, campaign)
            return probe(found)

        await eventually(look, seconds=seconds)
        return found

    async def until_status(self, account: AccountId, campaign: pb.Campaign, status: int, **kw: Any) -> pb.Campaign:
        return await self.until(account, campaign, lambda found: found.status == status, **kw)

    async def check_stats(self, account: AccountId, campaign: pb.Campaign) -> pb.CampaignStats:
        """The stored numbers add up, and a recount of the ledger agrees."""
        campaign_id = ids.decode("cmp", campaign.id)
        assert campaign_id is not None
        async with self.work_db.across() as tx:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            stored = await campaign_queries.stats(tx, account, campaign_id)
            counted = await campaign_queries.recount(tx, account, campaign_id)
        assert stored is not None
        assert {name: stored[name] for name in NAMES} == {name: counted[name] for name in NAMES}
        stats = pb.CampaignStats(**{name: stored[name] for name in NAMES})
        assert stats.total == stats.sent + stats.pending + stats.skipped + stats.uncertain
        assert stats.delivered + stats.failed <= stats.sent
        return stats

    async def admin(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """As the superuser, under no policy."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()

    async def so_many_wait(self, count: int) -> bool:
        """Whether so many sessions wait for locks."""
        rows = await self.admin(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return len(rows) == count

    @asynccontextmanager
    async def holding(self, lock: str) -> AsyncIterator[None]:
        """A lock, as the superuser, for as long as the block lasts."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            async with connection.transaction():
                await connection.execute(lock)
                yield
        finally:
            await connection.close()

    # --- the engine

    def dispatcher(self, **options: Any) -> Dispatcher:
        given: dict[str, Any] = {"batches": 4, "chunks": 16, "woken": self.woken, "lease_seconds": 1.5}
        return Dispatcher(self.work_db, self.peers_contacts, self.sendings, **(given | options))

    def freezer(self) -> Freezer:
        return Freezer(self.work_db, self.peers_contacts, self.peers_audiences, wake=self.woken.set)

    @asynccontextmanager
    async def working(self, **options: Any) -> AsyncIterator[None]:
        """All of `work` but the relay, for as long as the block lasts."""
        jobs: list[Any] = [
            self.dispatcher(**options).run(),
            poll("freezer", self.freezer().step, interval=0.05),
            poll("scheduler", Scheduler(self.work_db, wake=self.woken.set).step, interval=0.05),
            poll("finisher", Finisher(self.work_db).step, interval=0.05),
            poll("receipts", ReceiptApplier(self.work_db).step, interval=0.05),
        ]
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def open_world(urls: Any, keys: Keys) -> AsyncIterator[World]:
    contacts, segments, provider = FakeContacts(), FakeSegments(), Provider()
    lists = FakeLists(contacts)
    await provider.start()
    contacts_server = Server("127.0.0.1:0", keys.verifier("contacts"))
    # Only the methods that campaigns calls; see `Only`.
    contacts_server.add(contacts_pb.DESCRIPTOR.services_by_name["ContactsService"], Only(contacts))
    contacts_server.add(lists_pb2.DESCRIPTOR.services_by_name["ListsService"], Only(lists))
    contacts_server.add(audiences_pb2.DESCRIPTOR.services_by_name["AudiencesService"], Only(lists))
    replies = FakeReplies(contacts)
    contacts_server.add(replies_pb2.DESCRIPTOR.services_by_name["RepliesService"], replies)
    segments_server = Server("127.0.0.1:0", keys.verifier("segments"))
    segments_server.add(segments_pb.DESCRIPTOR.services_by_name["SegmentsService"], Only(segments))
    await contacts_server.start()
    await segments_server.start()
    signer = keys.signer("campaigns")
    contacts_target = f"127.0.0.1:{contacts_server.port}"
    contacts_client = Client(contacts_target, ContactsServiceStub, audience="contacts", signer=signer)
    lists_client = Client(contacts_target, ListsServiceStub, audience="contacts", signer=signer)
    audiences_client = Client(contacts_target, AudiencesServiceStub, audience="contacts", signer=signer)
    replies_client = Client(contacts_target, RepliesServiceStub, audience="contacts", signer=signer)
    tell = peers.Told(replies_client).tell
    segments_client = Client(
        f"127.0.0.1:{segments_server.port}", SegmentsServiceStub, audience="segments", signer=signer
    )
    serve_db = await Database.open(urls.serve, pool_size=5, name="serve")
    work_db = await Database.open(urls.work, pool_size=8, name="work")
    sealer = Sealer(SECRETS_KEY)
    http = app.Http(allowed=LOOPBACK)
    sendings = Sendings(Reach(http.session, LOOPBACK, 2.0), sealer, public_url=PUBLIC_URL)
    peers_contacts = peers.Contacts(contacts_client)
    peers_audiences = peers.Audiences(peers.Segments(segments_client), peers.Lists(lists_client, audiences_client))
    servicer = CampaignsServicer(
        templates=Templates(serve_db),
        senders=Senders(serve_db, sealer, allowed=LOOPBACK),
        campaigns=Campaigns(serve_db, peers_audiences, wake=lambda: None),
        audiences=Audiences(serve_db, peers_contacts, peers_audiences),
        trials=Trials(serve_db, peers_contacts, sendings.once),
        uploads=Uploads(serve_db, peers_contacts, limit_bytes=5_000_000),
        recipients=Recipients(serve_db),
        receipts=Receipts(serve_db, sealer, public_url=PUBLIC_URL, replies=Replies(serve_db, tell), wake=lambda: None),
        quiet_hours=QuietHours(serve_db, wake=lambda: None),
        links=FollowedLinks(serve_db, sealer, replies=Replies(serve_db, tell), wake=lambda: None),
        timelines=Timelines(serve_db),
        previews=Previews(serve_db, peers_contacts),
        sender_trials=SenderTrials(serve_db, peers_contacts, sendings.of_sender),
    )
    server = Server("127.0.0.1:0", keys.verifier("campaigns"))
    server.add(pb.DESCRIPTOR.services_by_name["CampaignsService"], servicer)
    await server.start()
    client = Client(
        f"127.0.0.1:{server.port}", CampaignsServiceStub, audience="campaigns", signer=keys.signer("gateway")
    )
    try:
        yield World(
            serve_db,
            work_db,
            urls.admin,
            urls.work,
            contacts_target,
            f"127.0.0.1:{segments_server.port}",
            f"127.0.0.1:{server.port}",
            keys,
            contacts,
            segments,
            lists,
            provider,
            client,
            peers_contacts,
            peers_audiences,
            sendings,
            replies,
            tell,
        )
    finally:
        await http.stop()
        clients = (client, contacts_client, lists_client, audiences_client, segments_client, replies_client)
        for running in (*clients, server, contacts_server, segments_server):
            await running.stop()
        await serve_db.stop()
        await work_db.stop()
        await provider.stop()


class Only:
    """A servicer that has some methods and refuses the others."""

    def __init__(self, servicer: object) -> None:
        self._servicer = servicer

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._servicer, name, None)
        if method is not None:
            return method

        @rpc(admits={"nobody"})
        async def refuse(call: Call, request: object) -> object:
            raise NotImplementedError(name)

        return refuse


def phone(number: int) -> str:
    return f"+1555{number:07d}"


def numbers_csv(count: int) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["phone", "name", "code"])
    for number in range(count):
        writer.writerow([phone(number), f"N{number}", "SAVE20"])
    return out.getvalue()


def member(number: int, **fields: Any) -> contacts_pb.Contact:
    base: dict[str, Any] = {
        "id": ids.encode("cnt", ids.new()),
        "phone": phone(number),
        "name": f"N{number}",
        "version": 1,
    }
    return contacts_pb.Contact(**(base | fields))
