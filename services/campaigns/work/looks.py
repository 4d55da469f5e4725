"""What is looked at for gauges: see chassis.watch."""

from prometheus_client import Gauge

from chassis.relay import OUTBOX
from chassis.watch import Look

# Untouched since they were started, resumed or frozen, and no worker on them since their work was due.
IDLE = """
SELECT CASE WHEN c.freezing THEN 'freezing' ELSE 'running' END, max(greatest(0, extract(epoch FROM now() - greatest(
  c.updated_at, r.due_at, CASE WHEN c.freezing THEN r.freeze_lease_until ELSE coalesce(
    (SELECT max(greatest(k.due_at, k.lease_until)) FROM chunks AS k
     WHERE k.account_id = c.account_id AND k.campaign_id = c.id AND NOT k.done), now()) END))))::float8
FROM campaigns AS c JOIN runs AS r ON r.account_id = c.account_id AND r.campaign_id = c.id
WHERE c.status = 'running' AND c.deleted_at IS NULL GROUP BY 1
"""
OPEN = """
SELECT CASE WHEN freezing THEN 'freezing' ELSE 'running' END, count(account_id) FROM campaigns
WHERE status = 'running' AND deleted_at IS NULL GROUP BY 1
UNION ALL
SELECT 'held', count(account_id) FROM campaigns
WHERE status = 'paused' AND status_reason = 'provider_unavailable' AND deleted_at IS NULL
"""
PENDING = """
SELECT c.channel, sum(s.pending)::float8
FROM campaigns AS c JOIN campaign_stats AS s ON s.account_id = c.account_id AND s.campaign_id = c.id
WHERE c.status = 'running' AND c.deleted_at IS NULL GROUP BY 1
"""
LOOKS = (
    *OUTBOX,
    Look(
        Gauge("carillon_campaigns_open", "Campaigns under way; held: until their provider answers again", ["state"]),
        OPEN,
        labels=[("running",), ("freezing",), ("held",)],
    ),
    Look(
        Gauge("carillon_campaigns_pending_recipients", "Recipients of running campaigns not sent to yet", ["channel"]),
        PENDING,
        labels=[("sms",), ("email",), ("whatsapp",)],
    ),
    Look(
        Gauge(
            "carillon_campaigns_idle_seconds",
            "For how long the campaign with work that is due has had no worker, of the one that was left alone longest",
            ["state"],
        ),
        IDLE,
        labels=[("running",), ("freezing",)],
    ),
)
