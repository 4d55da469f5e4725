"""Campaigns: from audience to click, and what sends the messages."""

from deploy.dashboards.grafana import GREEN, RED, Dashboard, Panel, Query, Section
from deploy.dashboards.promql import highest, increase, mean, quantile, quantiles, rate, total

RECIPIENTS, ATTEMPTS = "carillon_campaigns_recipients_total", "carillon_campaigns_attempts_total"
NOT_TAKEN = 'answer!~"accepted|none"'
# As far as the range that is shown.
RANGE = "$__range"


def came_to(status: str) -> Query:
    return Query(increase(RECIPIENTS, f'status="{status}"', window=RANGE), status)


DASHBOARD = Dashboard(
    "carillon-campaigns",
    "Carillon / Campaigns",
    "The funnel from audience to click, the dispatch of messages, receipts and replies.",
    [
        Section(
            "Funnel, over the range that is shown",
            [
                Panel(
                    "Audience",
                    "Contacts of audiences that were frozen: added, or the reason why they were left out.",
                    [
                        Query(
                            increase("carillon_campaigns_freeze_members_total", by="result", window=RANGE), "{{result}}"
                        )
                    ],
                    "bargauge",
                    decimals=0,
                ),
                Panel(
                    "Recipients",
                    "Recipients that came to each number of their campaign's stats. `sent` counts those that failed "
                    "and were delivered too.",
                    [came_to(status) for status in ("sent", "delivered", "opened", "clicked")],
                    "bargauge",
                    decimals=0,
                ),
                Panel(
                    "Recipients that got nothing",
                    "failed: refused by the provider, or reported not to have arrived; skipped: not sent to, with a "
                    "reason; uncertain: no answer, and not safe to repeat.",
                    [came_to(status) for status in ("failed", "skipped", "uncertain")],
                    "bargauge",
                    decimals=0,
                    steps=[(None, "orange")],
                ),
            ],
        ),
        Section(
            "Under way",
            [
                Panel(
                    "Campaigns",
                    "running, freezing (their audience is being written down), held (until their provider answers "
                    "again).",
                    [Query(highest("carillon_campaigns_open", by="state"), "{{state}}")],
                ),
                Panel(
                    "Recipients to be sent to",
                    "Of running campaigns, by channel.",
                    [Query(highest("carillon_campaigns_pending_recipients", by="channel"), "{{channel}}")],
                    stacked=True,
                ),
                Panel(
                    "Campaigns that stand still",
                    "For how long a campaign whose work is due has sent to, skipped or added nobody, with a worker or "
                    "without, of the one that stands still longest.",
                    [Query(highest("carillon_campaigns_stalled_seconds", by="state"), "{{state}}")],
                    unit="s",
                    steps=[(None, GREEN), (60, RED)],
                ),
            ],
        ),
        Section(
            "Dispatch",
            [
                Panel(
                    "Messages by answer",
                    "Offered to providers a second. none: not called after all, as the check was too old.",
                    [Query(rate(ATTEMPTS, by="answer"), "{{answer}}")],
                    unit="ops",
                    stacked=True,
                ),
                Panel(
                    "Part that was not accepted",
                    "Much of `refused`, `unavailable` or `unanswered`: a provider refuses, is away, or its secret is "
                    "wrong. `throttled`: it asks for a pause.",
                    [
                        Query(
                            f"{rate(ATTEMPTS, NOT_TAKEN, by='answer')} / on () group_left () ({rate(ATTEMPTS)} > 0)",
                            "{{answer}}",
                        )
                    ],
                    unit="percentunit",
                ),
                Panel(
                    "Providers",
                    "Time of a call, p95 by kind of provider.",
                    [Query(quantile(0.95, "carillon_campaigns_provider_seconds", by="provider"), "{{provider}}")],
                    unit="s",
                ),
                Panel(
                    "Micro-batches",
                    "Time of one, from the check with contacts to the outcomes.",
                    quantiles((0.5, 0.95), "carillon_campaigns_batch_seconds"),
                    unit="s",
                ),
                Panel(
                    "Chunks in hand",
                    "Chunks of recipients that each worker has leased.",
                    [Query(total("carillon_campaigns_chunks_held", 'component="campaigns-work"', by="pod"), "{{pod}}")],
                ),
                Panel(
                    "Left out at the last moment",
                    "Recipients not called because contacts or their template said so, a second.",
                    [Query(rate("carillon_campaigns_left_out_total", by="reason"), "{{reason}}")],
                    unit="ops",
                ),
            ],
        ),
        Section(
            "Receipts and replies",
            [
                Panel(
                    "Receipts applied",
                    "A second, by what became of them. not_found_yet: earlier than the send's own answer, looked at "
                    "again.",
                    [Query(rate("carillon_campaigns_receipts_total", by="result"), "{{result}}")],
                    unit="ops",
                    stacked=True,
                ),
                Panel(
                    "Stored",
                    "Transactions a second that store what providers post, and how many of their requests are in one "
                    "on average: more under load.",
                    [
                        Query(rate("carillon_campaigns_hook_commits_total", by="kind"), "{{kind}} a second"),
                        Query(mean("carillon_campaigns_hook_group_size", by="kind"), "{{kind}} together"),
                    ],
                    decimals=1,
                ),
                Panel(
                    "Handed over",
                    "Calls a second by which the gateway hands receipts over, and how many posts are in one on "
                    "average: more under load.",
                    [
                        Query(rate("carillon_gateway_receipt_calls_total"), "calls a second"),
                        Query(mean("carillon_gateway_receipt_posts"), "posts together"),
                    ],
                    decimals=1,
                ),
                Panel(
                    "Refused to providers",
                    "Receipts and messages beyond the capacity, answered 503, a second; providers send them again. The "
                    "database is slow, or more `campaigns` are needed.",
                    [
                        Query(rate("carillon_campaigns_hooks_refused_total", by="kind"), "{{kind}}"),
                        Query(rate("carillon_gateway_receipts_refused_total"), "at the gateway"),
                    ],
                    unit="ops",
                    steps=[(None, GREEN), (0.01, RED)],
                ),
                Panel(
                    "Replies",
                    "Messages from recipients that contacts has, a second, by what their first word says.",
                    [Query(rate("carillon_campaigns_replies_total", by="word"), "{{word}}")],
                    unit="ops",
                ),
                Panel(
                    "Replies that contacts did not take",
                    "Tries in an hour. Opt-outs wait, and nothing is sent while contacts does not answer.",
                    [Query(increase("carillon_campaigns_replies_failed_total", window="1h"), "tries")],
                    decimals=0,
                    steps=[(None, GREEN), (1, RED)],
                ),
                Panel(
                    "Reconciliation",
                    "Campaigns held against their ledger, and numbers that differed and were put right, in an hour. "
                    "Any of the latter is a fault.",
                    [
                        Query(increase("carillon_campaigns_reconciled_total", window="1h"), "campaigns looked at"),
                        Query(
                            increase("carillon_campaigns_repaired_total", by="what", window="1h"), "repaired: {{what}}"
                        ),
                    ],
                    decimals=0,
                ),
            ],
        ),
    ],
)
