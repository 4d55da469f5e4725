"""What this service measures besides what the chassis does."""

from prometheus_client import Counter, Histogram

from chassis.measuring import LAG_BUCKETS, from_zero

FRESHNESS = Histogram(
    "carillon_segments_freshness_seconds",
    "From a contact's event being made to the commit of the membership that follows from it",
    ["lane"],
    buckets=LAG_BUCKETS,
)
EVALUATED = Counter(
    "carillon_segments_contacts_total",
    "Contacts that an event told of: evaluated, unread (no rule reads what changed) or known (not newer)",
    ["lane", "outcome"],
)
STEPS = Counter("carillon_segments_steps_total", "Steps of contacts into and out of segments", ["lane"])
MATCH_SECONDS = Histogram(
    "carillon_segments_match_seconds",
    "Time to match one batch against an account's rules",
    buckets=[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1],
)
BUILD_STEP_SECONDS = Histogram(
    "carillon_segments_build_step_seconds",
    "Time of one step of a build",
    ["state"],
    buckets=[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
)
BUILD_FAILURES = from_zero(
    Counter("carillon_segments_build_failures_total", "Steps of builds that failed", ["state"]),
    *("building", "announcing", "retired"),
)
FLIPS = Counter("carillon_segments_flips_total", "Contacts looked at because their time had come")
REPAIRED = from_zero(
    Counter(
        "carillon_segments_repaired_total",
        "What reconciliation found wrong and put right: always zero",
        ["what"],
    ),
    *("contact", "projection", "membership", "due", "count"),
)
RECONCILED = Counter("carillon_segments_reconciled_total", "Contacts that reconciliation looked at")
