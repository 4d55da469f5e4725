"""Contacts: jobs in the background, imports, exports, bulk changes, and what follows the contacts' events."""

from deploy.dashboards.grafana import GREEN, RED, Dashboard, Panel, Query, Section
from deploy.dashboards.promql import highest, increase, mean, quantile, quantiles, rate, ten_most

SERVED, SECONDS = "carillon_grpc_server_calls_total", "carillon_grpc_server_seconds"
ROWS, FAILED_ROW = "carillon_contacts_import_rows_total", 'outcome="failed"'
CONTACTS, WORK = 'component="contacts"', 'durable=~"contacts-.*"'

DASHBOARD = Dashboard(
    "carillon-contacts",
    "Carillon / Contacts and imports",
    "The contacts service and its jobs: imports, exports, bulk changes, search and timelines.",
    [
        Section(
            "Jobs",
            [
                Panel(
                    "Jobs under way",
                    "Jobs that have not ended: those that a worker has, and those that wait for one.",
                    [Query(highest("carillon_contacts_jobs", by="kind, state"), "{{kind}} {{state}}")],
                ),
                Panel(
                    "Jobs that stand still",
                    "For how long a job whose turn it is has made no step, of the one that stands still longest. High: "
                    "no worker runs, all are busy (`import_slots`, `export_slots`, replicas of contacts-work), or a "
                    "worker hangs.",
                    [Query(highest("carillon_contacts_stalled_seconds", by="kind"), "{{kind}}")],
                    unit="s",
                    steps=[(None, GREEN), (300, RED)],
                ),
                Panel(
                    "Jobs that failed",
                    "Imports, exports and bulk changes that ended in a fault of ours or of the file, in an hour.",
                    [
                        Query(increase(f"carillon_contacts_{job}_total", 'status="failed"', window="1h"), name)
                        for job, name in (("imports", "imports"), ("exports", "exports"), ("bulk_jobs", "bulk changes"))
                    ],
                    decimals=0,
                    steps=[(None, GREEN), (1, RED)],
                ),
            ],
        ),
        Section(
            "Imports",
            [
                Panel(
                    "Rows",
                    "Rows dealt with a second, by what became of them.",
                    [Query(rate(ROWS, by="outcome"), "{{outcome}}")],
                    unit="ops",
                    stacked=True,
                ),
                Panel(
                    "Imports that ended",
                    "In an hour, by how. Dry runs aside.",
                    [Query(increase("carillon_contacts_imports_total", by="status", window="1h"), "{{status}}")],
                    decimals=0,
                ),
                Panel(
                    "Time of an import",
                    "That a worker spent on one, from lease to end.",
                    quantiles((0.5, 0.95), "carillon_contacts_import_seconds"),
                    unit="s",
                ),
                Panel(
                    "Uploads",
                    "Bytes of uploaded files stored a second.",
                    [Query(rate("carillon_contacts_upload_bytes_total"), "uploaded")],
                    unit="Bps",
                ),
                Panel(
                    "Rows that failed",
                    "Of all rows of imports. The import's errors say why.",
                    [
                        Query(
                            f"{rate(ROWS, FAILED_ROW)} / ({rate(ROWS)} > 0)",
                            "failed",
                        )
                    ],
                    unit="percentunit",
                ),
                Panel(
                    "Exports",
                    "Records written to exports a second.",
                    [Query(rate("carillon_contacts_export_rows_total"), "records")],
                    unit="ops",
                ),
                Panel(
                    "Exports that ended",
                    "In an hour, by how.",
                    [Query(increase("carillon_contacts_exports_total", by="status", window="1h"), "{{status}}")],
                    decimals=0,
                ),
                Panel(
                    "Time of an export",
                    "That a worker spent on one, from lease to end.",
                    quantiles((0.5, 0.95), "carillon_contacts_export_seconds"),
                    unit="s",
                ),
                Panel(
                    "Bulk changes",
                    "Contacts that jobs in the background changed, left as they were, or could not change, a second.",
                    [Query(rate("carillon_contacts_bulk_contacts_total", by="outcome"), "{{outcome}}")],
                    unit="ops",
                    stacked=True,
                ),
            ],
        ),
        Section(
            "The service",
            [
                Panel(
                    "Calls",
                    "gRPC calls a second, the ten methods called most.",
                    [Query(ten_most(rate(SERVED, CONTACTS, by="method")), "{{method}}")],
                    unit="reqps",
                    leads_to="carillon-grpc",
                ),
                Panel(
                    "Time to answer",
                    "p95 by method, the ten slowest. Streams last as long as what they carry.",
                    [Query(ten_most(quantile(0.95, SECONDS, CONTACTS, by="method")), "{{method}}", exemplars=True)],
                    unit="s",
                    leads_to="carillon-grpc",
                ),
                Panel(
                    "Created",
                    "Transactions a second that create contacts, of calls for one each, how many of these are in one "
                    "on average (more under load), and calls beyond the capacity, answered 503.",
                    [
                        Query(rate("carillon_contacts_create_commits_total"), "transactions"),
                        Query(mean("carillon_contacts_create_group"), "calls together"),
                        Query(rate("carillon_contacts_creates_refused_total"), "refused"),
                    ],
                    decimals=1,
                ),
                Panel(
                    "Search and timelines behind",
                    "From an event to the search index or the timeline that follows it, p95 by consumer.",
                    [Query(quantile(0.95, "carillon_consumer_lag_seconds", WORK, by="durable"), "{{durable}}")],
                    unit="s",
                    leads_to="carillon-events",
                ),
            ],
        ),
    ],
)
