"""Segments: how far membership is behind changes, builds, the clock, reconciliation."""

from deploy.dashboards.grafana import GREEN, RED, Dashboard, Panel, Query, Section
from deploy.dashboards.promql import highest, increase, quantile, quantiles, rate

FRESHNESS = "carillon_segments_freshness_seconds"

DASHBOARD = Dashboard(
    "carillon-segments",
    "Carillon / Segments",
    "How far membership is behind the contacts' changes, and what keeps it right.",
    [
        Section(
            "Freshness",
            [
                Panel(
                    "Live changes",
                    "From a contact's change by a person to the commit of the membership that follows. Seconds at p99: "
                    "more comes than is evaluated, or a database is slow.",
                    quantiles((0.5, 0.95, 0.99), FRESHNESS, 'lane="live"'),
                    unit="s",
                    steps=[(None, GREEN), (5, RED)],
                ),
                Panel(
                    "Bulk changes",
                    "The same of imports and bulk changes, which wait behind one another and never before live "
                    "changes.",
                    quantiles((0.5, 0.95, 0.99), FRESHNESS, 'lane="bulk"'),
                    unit="s",
                ),
                Panel(
                    "Spread",
                    "How many changes of both lanes were how fresh.",
                    [Query(increase(f"{FRESHNESS}_bucket", by="le"), "{{le}}")],
                    "heatmap",
                    unit="s",
                ),
                Panel(
                    "Events waiting",
                    "Events that the consumers have not been given yet.",
                    [
                        Query(
                            highest("carillon_consumer_pending", 'durable=~"segments-.*"', by="durable"), "{{durable}}"
                        )
                    ],
                    leads_to="carillon-events",
                ),
                Panel(
                    "Contacts",
                    "Contacts that events told of, a second. evaluated: against the rules; unread: no rule reads what "
                    "changed; known: not newer than what is known.",
                    [Query(rate("carillon_segments_contacts_total", by="lane, outcome"), "{{lane}} {{outcome}}")],
                    unit="ops",
                    stacked=True,
                ),
                Panel(
                    "Steps into and out of segments",
                    "A second, by what moved them: live changes, bulk changes, the clock.",
                    [Query(rate("carillon_segments_steps_total", by="lane"), "{{lane}}")],
                    unit="ops",
                    stacked=True,
                ),
            ],
        ),
        Section(
            "Builds and the clock",
            [
                Panel(
                    "Builds under way",
                    "Of new and edited rules: being filled, told of, or removed.",
                    [Query(highest("carillon_segments_builds", by="state"), "{{state}}")],
                ),
                Panel(
                    "Oldest",
                    "Age of the oldest build that is being filled or told of; due: how late the earliest contact is "
                    "whose time has come.",
                    [Query(highest("carillon_segments_oldest_seconds", by="what"), "{{what}}")],
                    unit="s",
                ),
                Panel(
                    "Steps of builds",
                    "Time of one, p95 by state: what a live change may have to wait for.",
                    [Query(quantile(0.95, "carillon_segments_build_step_seconds", by="state"), "{{state}}")],
                    unit="s",
                ),
                Panel(
                    "Steps of builds that failed",
                    "In an hour. They are tried again; the log (`build.failed`) says why.",
                    [
                        Query(
                            increase("carillon_segments_build_failures_total", by="state", window="1h"),
                            "{{state}}",
                        )
                    ],
                    decimals=0,
                    steps=[(None, GREEN), (1, RED)],
                ),
                Panel(
                    "Contacts whose time had come",
                    "Looked at a second, because a rule with relative time may say something else of them by now.",
                    [Query(rate("carillon_segments_flips_total"), "looked at")],
                    unit="ops",
                ),
                Panel(
                    "Matching",
                    "Time to match one batch of up to 500 contacts against an account's rules.",
                    quantiles((0.5, 0.99), "carillon_segments_match_seconds"),
                    unit="s",
                ),
            ],
        ),
        Section(
            "Reconciliation",
            [
                Panel(
                    "Looked at",
                    "Contacts that reconciliation looked at, a second. 0 for a day: it does not run.",
                    [Query(rate("carillon_segments_reconciled_total"), "contacts")],
                    unit="ops",
                    width=12,
                ),
                Panel(
                    "Repaired",
                    "What it found wrong and put right, in an hour. Anything is a fault, save `projection` after an "
                    "upgrade.",
                    [Query(increase("carillon_segments_repaired_total", by="what", window="1h"), "{{what}}")],
                    decimals=0,
                    width=12,
                    steps=[(None, GREEN), (1, RED)],
                ),
            ],
        ),
    ],
)
