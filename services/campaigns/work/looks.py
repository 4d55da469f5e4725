"""What is looked at for gauges: see chassis.watch."""

from prometheus_client import Gauge

from chassis.relay import OUTBOX
from chassis.watch import Look

# Of campaigns whose work is due, or will be within the minute (what keeps failing is put off by seconds, who sleeps by
# more): since when nobody was sent to or skipped; or, of an audience, since its last page, which is when its last chunk
# became due.
STALLED = """
SELECT CASE WHEN c.freezing THEN 'freezing' ELSE 'running' END, max(greatest(0, extract(epoch FROM now() - greatest(
  c.updated_at, CASE WHEN c.freezing
    THEN (SELECT k.due_at FROM chunks AS k
      WHERE k.account_id = c.account_id AND k.campaign_id = c.id ORDER BY k.chunk DESC LIMIT 1)
    ELSE (SELECT m.minute + interval '1 minute' FROM campaign_minutes AS m
      WHERE m.account_id = c.account_id AND m.campaign_id = c.id AND (m.sent, m.skipped, m.uncertain) <> (0, 0, 0)
      ORDER BY m.minute DESC LIMIT 1) END))))::float8
FROM campaigns AS c JOIN runs AS r ON r.account_id = c.account_id AND r.campaign_id = c.id
WHERE c.status = 'running' AND c.deleted_at IS NULL AND r.due_at <= now() + interval '1 minute' AND (
  c.freezing OR EXISTS (SELECT FROM chunks AS k WHERE k.account_id = c.account_id AND k.campaign_id = c.id
    AND NOT k.done AND k.due_at <= now() + interval '1 minute'))
GROUP BY 1
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
            "carillon_campaigns_stalled_seconds",
            "For how long the campaign whose work is due has made no step, of the one that stands still longest",
            ["state"],
        ),
        STALLED,
        labels=[("running",), ("freezing",)],
    ),
)
