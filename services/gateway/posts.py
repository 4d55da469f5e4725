"""Receipts on their way to campaigns.

Providers report each message by itself, and a call for each would cost more than all else that is done with it: what
comes while a call of the account is under way goes with the next.
"""

from collections.abc import Sequence

from prometheus_client import Counter, Histogram

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.campaigns.v1.campaigns_pb2_grpc import CampaignsServiceStub
from chassis.call import Outgoing
from chassis.errors import CarillonError, from_bytes
from chassis.group_commit import GroupCommit, Metrics
from chassis.grpc_client import Client
from chassis.ids import AccountId

METRICS = Metrics(
    Counter("carillon_gateway_receipt_calls_total", "Calls that hand over what providers post"),
    Histogram("carillon_gateway_receipt_posts", "Posts in one such call", buckets=[1, 2, 5, 10, 50, 200]),
    Counter("carillon_gateway_receipts_refused_total", "Posts beyond the capacity, answered 503"),
)


class Posts:
    def __init__(self, campaigns: Client[CampaignsServiceStub], *, timeout: float) -> None:
        """timeout: seconds, of one call."""
        self._campaigns = campaigns
        self._timeout = timeout
        self._calls: GroupCommit[pb.TakeHookRequest, pb.TakeHookResponse] = GroupCommit(METRICS, self._hand_over)

    async def take(self, account: AccountId, post: pb.TakeHookRequest) -> pb.TakeHookResponse:
        """post: of HOOK_RECEIPTS. Raises what TakeHook does."""
        return await self._calls.add(account, post, size=len(post.body))

    async def _hand_over(
        self, account: AccountId, posts: Sequence[pb.TakeHookRequest]
    ) -> Sequence[pb.TakeHookResponse | CarillonError]:
        answer = await self._campaigns.unary(
            self._campaigns.stub.TakeReceipts,
            pb.TakeReceiptsRequest(posts=posts),
            call=Outgoing(account=account),
            timeout=self._timeout,
            # What is told twice changes nothing.
            safe=True,
        )
        return [from_bytes(one.refused) if one.refused else one.taken for one in answer.results]
