"""What is looked at for gauges: see chassis.watch."""

from prometheus_client import Gauge

from chassis.relay import OUTBOX
from chassis.watch import Look

BUILDS = """
SELECT state, count(account_id) FROM builds WHERE state IN ('building', 'announcing', 'retired') GROUP BY 1
"""
OLDEST = """
SELECT state, max(greatest(0, extract(epoch FROM now() - created_at)))::float8 FROM builds
WHERE account_id IS NOT NULL AND state IN ('building', 'announcing') GROUP BY 1
UNION ALL
SELECT 'due', greatest(0, extract(epoch FROM now()) - due_at / 1e6)::float8 FROM (
    SELECT account_id, due_at FROM due ORDER BY due_at LIMIT 1
) AS earliest
"""
LOOKS = (
    *OUTBOX,
    Look(
        Gauge("carillon_segments_builds", "Builds of segments under way; retired: being removed", ["state"]),
        BUILDS,
        labels=[("building",), ("announcing",), ("retired",)],
    ),
    Look(
        Gauge(
            "carillon_segments_oldest_seconds",
            "Age of the oldest build in a state; due: how late the earliest contact is whose time has come",
            ["what"],
        ),
        OLDEST,
        labels=[("building",), ("announcing",), ("due",)],
    ),
)
