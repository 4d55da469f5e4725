"""What this service measures besides what the chassis does."""

from functools import partial

from prometheus_client import Counter, Gauge, Histogram

from chassis import group_commit
from chassis.db import WriteTx
from chassis.measuring import from_zero
from services.campaigns.domain.stats import TIMED, Stats

MEMBERS = Counter("carillon_campaigns_freeze_members_total", "Contacts of audiences by what became of them", ["result"])
HELD = Gauge("carillon_campaigns_chunks_held", "Chunks of recipients leased by this process")
# `none`: not called after all, as the check was too old.
ATTEMPTS = from_zero(
    Counter("carillon_campaigns_attempts_total", "Calls to providers by answer", ["answer"]),
    *("accepted", "refused", "throttled", "unavailable", "unanswered", "barred", "none"),
)
PROVIDER_SECONDS = Histogram(
    "carillon_campaigns_provider_seconds", "A call to a provider, of one message or several", ["provider"]
)
LEFT_OUT = Counter("carillon_campaigns_left_out_total", "Recipients not called, by reason", ["reason"])
BATCH_SECONDS = Histogram("carillon_campaigns_batch_seconds", "A micro-batch, from the check to the outcomes")
RECIPIENTS = from_zero(
    Counter(
        "carillon_campaigns_recipients_total", "Recipients by the number of their stats that they came to", ["status"]
    ),
    *TIMED,
)
RECEIPTS = from_zero(
    Counter("carillon_campaigns_receipts_total", "Receipts by what became of them", ["result"]),
    *("applied", "no_news", "not_found_yet"),
)
REPLIES = from_zero(
    Counter("carillon_campaigns_replies_total", "Messages from recipients that contacts has, by meaning", ["word"]),
    *("opt_out", "opt_in", "none"),
)
REPLIES_FAILED = Counter("carillon_campaigns_replies_failed_total", "Tries in which contacts did not take them")
HOOK_COMMITS = Counter("carillon_campaigns_hook_commits_total", "Transactions that store what providers post", ["kind"])
HOOK_GROUPS = Histogram(
    "carillon_campaigns_hook_group_size", "Requests in one such transaction", ["kind"], buckets=[1, 2, 5, 10, 50, 200]
)
HOOKS_REFUSED = Counter(
    "carillon_campaigns_hooks_refused_total", "Requests beyond the capacity, answered 503", ["kind"]
)
REPAIRED = from_zero(
    Counter(
        "carillon_campaigns_repaired_total", "What reconciliation found wrong and put right: always zero", ["what"]
    ),
    *("stats", "timeline", "chunks"),
)
RECONCILED = Counter("carillon_campaigns_reconciled_total", "Campaigns whose numbers were held against their ledger")


def of_hooks(kind: str) -> group_commit.Metrics:
    """kind: hooks or links."""
    return group_commit.Metrics(HOOK_COMMITS.labels(kind), HOOK_GROUPS.labels(kind), HOOKS_REFUSED.labels(kind))


def count(tx: WriteTx, delta: Stats) -> None:
    """What the stats of a campaign grow by, once it is committed."""
    for status in TIMED:
        if (number := getattr(delta, status)) > 0:
            tx.after_commit.append(partial(RECIPIENTS.labels(status).inc, number))
