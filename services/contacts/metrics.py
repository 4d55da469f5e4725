"""What this service measures besides what the chassis does."""

from prometheus_client import Counter, Histogram

from chassis import group_commit
from chassis.measuring import from_zero
from services.contacts.imports.resolve import Outcome

IMPORTS = from_zero(
    Counter("carillon_contacts_imports_total", "Imports that ended", ["status"]),
    *("completed", "failed", "cancelled"),
)
IMPORT_ROWS = from_zero(
    Counter("carillon_contacts_import_rows_total", "Rows of imports dealt with", ["outcome"]),
    *("imported", "updated", "duplicate", "failed"),
)
IMPORT_SECONDS = Histogram(
    "carillon_contacts_import_seconds",
    "Time a worker spent on an import, from lease to end",
    buckets=[0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
)
EXPORTS = from_zero(
    Counter("carillon_contacts_exports_total", "Exports that ended", ["status"]), *("completed", "failed")
)
EXPORT_ROWS = Counter("carillon_contacts_export_rows_total", "Records written to exports")
EXPORT_SECONDS = Histogram(
    "carillon_contacts_export_seconds",
    "Time a worker spent on an export, from lease to end",
    buckets=[0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
)
BULK_JOBS = from_zero(
    Counter("carillon_contacts_bulk_jobs_total", "Bulk changes in the background that ended", ["status"]),
    *("completed", "failed"),
)
BULK_CONTACTS = from_zero(
    Counter("carillon_contacts_bulk_contacts_total", "Contacts that bulk jobs dealt with", ["outcome"]),
    *("changed", "unchanged", "failed"),
)
# By calls for one.
CREATIONS = group_commit.Metrics(
    Counter("carillon_contacts_create_commits_total", "Transactions that created contacts, of calls for one each"),
    Histogram("carillon_contacts_create_group", "Calls in one of them", buckets=[1, 2, 5, 10, 20, 50, 200]),
    Counter("carillon_contacts_creates_refused_total", "Calls beyond the capacity, answered 503"),
)
UPLOAD_BYTES = Counter("carillon_contacts_upload_bytes_total", "Bytes of uploads stored")


def count(outcome: Outcome) -> None:
    IMPORT_ROWS.labels("imported").inc(outcome.imported_rows)
    IMPORT_ROWS.labels("updated").inc(outcome.updated_rows)
    IMPORT_ROWS.labels("duplicate").inc(outcome.duplicate_rows)
    IMPORT_ROWS.labels("failed").inc(len(outcome.errors))
