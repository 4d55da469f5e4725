"""Is it well? The service level, and one look at each part; every panel leads on to its own dashboard."""

from deploy.dashboards.grafana import GREEN, RED, YELLOW, Dashboard, Panel, Query, Section
from deploy.dashboards.promql import highest, increase, quantile, quantiles, rate, series, total

OBJECTIVE = 0.999
ALLOWED = 0.001
MONTH = "30d"
COUNTED = "carillon_gateway_objective_requests_total"
# Rates at which the month's allowance would be gone after two days, five, and a month.
PAGE, SOON, EVEN = 14.4, 6, 1
WINDOWS = ("5m", "1h", "6h", "3d")
GOOD = [(None, RED), (OBJECTIVE, GREEN)]
LEFT = [(None, RED), (0, YELLOW), (0.25, GREEN)]
NEVER = [(None, GREEN), (1, RED)]


def missed(objective: str, window: str) -> str:
    """The part of the requests that did not meet it. Without a request, none."""
    bad = increase(COUNTED, f'objective="{objective}",met="no"', window=window)
    every = increase(COUNTED, f'objective="{objective}"', window=window)
    return f"({bad} / ({every} > 0) or {bad} * 0)"


def met_panel(title: str, description: str, objective: str) -> Panel:
    query = Query(f"1 - {missed(objective, MONTH)}")
    return Panel(title, description, [query], "stat", "percentunit", 6, 4, decimals=3, steps=GOOD)


def budget_panel(title: str, objective: str) -> Panel:
    description = (
        "How much of what may go wrong in 30 days is left: 0.1 % of the requests. Below 0 the objective is missed."
    )
    query = Query(f"1 - {missed(objective, MONTH)} / {ALLOWED}")
    return Panel(title, description, [query], "stat", "percentunit", 6, 4, decimals=1, steps=LEFT)


def burn_panel(title: str, objective: str) -> Panel:
    description = (
        "How many times faster than allowed the error budget is used up, over several windows. At 1 it lasts just 30 "
        "days. Alerts: 14.4 over an hour and five minutes, 6 over six hours, 1 over three days."
    )
    queries = [Query(f"{missed(objective, window)} / {ALLOWED}", window) for window in WINDOWS]
    steps = [(None, GREEN), (EVEN, YELLOW), (SOON, "orange"), (PAGE, RED)]
    return Panel(title, description, queries, unit="short", width=12, steps=steps, leads_to="carillon-gateway")


BY_CLASS = (
    f"sum by (class) (label_replace(rate({series('carillon_gateway_requests_total')}[$__rate_interval]), "
    '"class", "${1}xx", "status", "(.).*"))'
)

DASHBOARD = Dashboard(
    "carillon-overview",
    "Carillon / Overview",
    "Whether Carillon is well: its service level, and one look at each of its parts.",
    [
        Section(
            "Service level: 99.9 % in 30 days",
            [
                met_panel(
                    "Requests answered",
                    "The part of REST requests that were not answered 5xx, in 30 days.",
                    "availability",
                ),
                budget_panel("Error budget left: availability", "availability"),
                met_panel(
                    "Calls within a second",
                    "The part of REST calls that were answered within a second, in 30 days. Uploads and streams take "
                    "as long as their clients let them and are not part of it; calls answered 5xx count above.",
                    "latency",
                ),
                budget_panel("Error budget left: latency", "latency"),
                burn_panel("Burn rate: availability", "availability"),
                burn_panel("Burn rate: latency", "latency"),
            ],
        ),
        Section(
            "Now",
            [
                Panel(
                    "Requests",
                    "REST requests a second, by class of answer. 0xx: the client went before the answer.",
                    [Query(BY_CLASS, "{{class}}")],
                    unit="reqps",
                    stacked=True,
                    leads_to="carillon-gateway",
                ),
                Panel(
                    "Duration of calls",
                    "From a request's head to its answer's end, without uploads, streams and waiting for jobs. Points "
                    "are traces.",
                    quantiles((0.5, 0.95, 0.99), "carillon_gateway_request_seconds", 'kind="call"', exemplars=True),
                    unit="s",
                    leads_to="carillon-gateway",
                ),
                Panel(
                    "gRPC calls that failed",
                    "Of the calls between services, those that ended in a fault of ours (INTERNAL), found a database "
                    "or service away (UNAVAILABLE), or took too long (DEADLINE_EXCEEDED).",
                    [
                        Query(
                            rate(
                                "carillon_grpc_client_calls_total",
                                'code=~"INTERNAL|UNAVAILABLE|DEADLINE_EXCEEDED|UNKNOWN"',
                                by="component, code",
                            ),
                            "{{component}} {{code}}",
                        )
                    ],
                    unit="reqps",
                    leads_to="carillon-grpc",
                ),
                Panel(
                    "Oldest event not published",
                    "Over a minute: NATS is away, full, or refuses the service's user. Nothing is lost.",
                    [
                        Query(
                            highest("carillon_outbox_oldest_seconds", by="component"),
                            "{{component}}",
                        )
                    ],
                    unit="s",
                    steps=[(None, GREEN), (60, RED)],
                    leads_to="carillon-events",
                ),
                Panel(
                    "Events handled late",
                    "From an event's making to its handler's end, p99 by consumer.",
                    [Query(quantile(0.99, "carillon_consumer_lag_seconds", by="durable"), "{{durable}}")],
                    unit="s",
                    leads_to="carillon-events",
                ),
                Panel(
                    "Freshness of segments",
                    "From a contact's change to the membership that follows, p99 by lane.",
                    [Query(quantile(0.99, "carillon_segments_freshness_seconds", by="lane"), "{{lane}}")],
                    unit="s",
                    leads_to="carillon-segments",
                ),
                Panel(
                    "Messages",
                    "Messages offered to providers a second, by their answer.",
                    [Query(rate("carillon_campaigns_attempts_total", by="answer"), "{{answer}}")],
                    unit="ops",
                    stacked=True,
                    leads_to="carillon-campaigns",
                ),
                Panel(
                    "Import",
                    "Rows of imports dealt with a second, by what became of them.",
                    [Query(rate("carillon_contacts_import_rows_total", by="outcome"), "{{outcome}}")],
                    unit="ops",
                    stacked=True,
                    leads_to="carillon-contacts",
                ),
                Panel(
                    "Waiting for the database",
                    "For a connection of the pool, p99 by component. High: more is asked at once than the pool has "
                    "room for, or transactions take long.",
                    [Query(quantile(0.99, "carillon_db_pool_wait_seconds", by="component"), "{{component}}")],
                    unit="s",
                    leads_to="carillon-databases",
                ),
            ],
        ),
        Section(
            "What should not be",
            [
                Panel(
                    "Processes that do not answer",
                    "Scrapes of ops ports that failed just now.",
                    [Query(f"count({series('up')} == 0) or sum({series('up')}) * 0")],
                    "stat",
                    width=4,
                    height=4,
                    steps=NEVER,
                ),
                Panel(
                    "Dead letters",
                    "Events that no handler could take, in the stream DEAD.",
                    [Query(f"sum({highest('carillon_consumer_dead_letters', by='durable')})")],
                    "stat",
                    width=4,
                    height=4,
                    steps=NEVER,
                    leads_to="carillon-events",
                ),
                Panel(
                    "Consumers stopped",
                    "Stopped by 100 dead letters within a minute: find the cause, then restart the process.",
                    [Query(total("carillon_consumer_stopped"))],
                    "stat",
                    width=4,
                    height=4,
                    steps=NEVER,
                    leads_to="carillon-events",
                ),
                Panel(
                    "Repaired in a day",
                    "What reconciliation found wrong and put right, in segments and campaigns.",
                    [
                        Query(
                            f"{increase('carillon_segments_repaired_total', window='1d')} + "
                            f"{increase('carillon_campaigns_repaired_total', window='1d')}"
                        )
                    ],
                    "stat",
                    width=4,
                    height=4,
                    decimals=0,
                    steps=NEVER,
                    leads_to="carillon-segments",
                ),
                Panel(
                    "Jobs failed in a day",
                    "Imports, exports and bulk changes that ended in a fault of ours or of the file.",
                    [
                        Query(
                            " + ".join(
                                increase(f"carillon_contacts_{job}_total", 'status="failed"', window="1d")
                                for job in ("imports", "exports", "bulk_jobs")
                            )
                        )
                    ],
                    "stat",
                    width=4,
                    height=4,
                    decimals=0,
                    steps=NEVER,
                    leads_to="carillon-contacts",
                ),
                Panel(
                    "Campaigns held",
                    "Paused until their provider answers again.",
                    [Query(highest("carillon_campaigns_open", 'state="held"'))],
                    "stat",
                    width=4,
                    height=4,
                    steps=NEVER,
                    leads_to="carillon-campaigns",
                ),
            ],
        ),
        Section(
            "Processes",
            [
                Panel(
                    "Processor time",
                    "Cores used, by component. One process uses little more than one.",
                    [Query(rate("process_cpu_seconds_total", by="component"), "{{component}}")],
                    unit="short",
                    decimals=2,
                ),
                Panel(
                    "Memory",
                    "Resident memory of the largest process of each component.",
                    [Query(highest("process_resident_memory_bytes", by="component"), "{{component}}")],
                    unit="bytes",
                ),
                Panel(
                    "Event-loop lag",
                    "How late the event loop wakes a timer, p99. High: too little processor time, or something blocks "
                    "it.",
                    [Query(quantile(0.99, "carillon_event_loop_lag_seconds", by="component"), "{{component}}")],
                    unit="s",
                ),
            ],
        ),
    ],
)
