"""What is looked at for gauges: see chassis.watch."""

from prometheus_client import Gauge

from chassis.relay import OUTBOX
from chassis.watch import Look

# Unfinished jobs, and whether each has a worker.
OPEN = """
WITH open AS (
    SELECT 'import' AS kind, lease_until >= now() AS running FROM imports
    WHERE account_id IS NOT NULL AND (status IN ('queued', 'running') OR (status = 'uploaded' AND rows_total IS NULL))
    UNION ALL
    SELECT 'undo', true FROM imports WHERE account_id IS NOT NULL AND status = 'undoing'
    UNION ALL
    SELECT 'export', lease_until >= now() FROM exports
    WHERE account_id IS NOT NULL AND status IN ('queued', 'running')
    UNION ALL
    SELECT 'bulk', status = 'running' FROM bulk_jobs
    WHERE account_id IS NOT NULL AND status IN ('queued', 'running')
)
SELECT kind, CASE WHEN running THEN 'running' ELSE 'waiting' END, count(*) FROM open GROUP BY 1, 2
"""
# Those of them whose turn it is, and since when they have made no step. Of imports that is each with a worker, and the
# next of an account that has none under way; exports wait for one another.
STALLED = """
WITH stalled AS (
    SELECT 'import' AS kind, w.queued_at AS since FROM imports AS w
    WHERE w.account_id IS NOT NULL
    AND (w.status IN ('queued', 'running') OR (w.status = 'uploaded' AND w.rows_total IS NULL))
    AND (w.lease_until >= now() OR NOT EXISTS (
        SELECT FROM imports AS b
        WHERE b.account_id = w.account_id AND b.status IN ('uploaded', 'running') AND b.lease_until >= now()
    ))
    UNION ALL
    SELECT 'undo', queued_at FROM imports WHERE account_id IS NOT NULL AND status = 'undoing'
    UNION ALL
    SELECT 'export', greatest(e.created_at, f.touched_at) FROM exports AS e
    LEFT JOIN files AS f ON f.account_id = e.account_id AND f.id = e.file_id
    WHERE e.status IN ('queued', 'running') AND (e.lease_until >= now() OR NOT EXISTS (
        SELECT FROM exports AS b WHERE b.account_id IS NOT NULL AND b.status = 'running' AND b.lease_until >= now()
    ))
    UNION ALL
    SELECT 'bulk', due_at FROM bulk_jobs WHERE account_id IS NOT NULL AND status IN ('queued', 'running')
)
SELECT kind, max(greatest(0, extract(epoch FROM now() - since)))::float8 FROM stalled GROUP BY 1
"""
KINDS = ("import", "undo", "export", "bulk")
LOOKS = (
    *OUTBOX,
    Look(
        Gauge("carillon_contacts_jobs", "Jobs in the background that have not ended", ["kind", "state"]),
        OPEN,
        labels=[(kind, state) for kind in KINDS for state in ("waiting", "running")],
    ),
    Look(
        Gauge(
            "carillon_contacts_stalled_seconds",
            "For how long the job whose turn it is has made no step, of the one that stands still longest",
            ["kind"],
        ),
        STALLED,
        labels=[(kind,) for kind in KINDS],
    ),
)
