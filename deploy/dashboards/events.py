"""NATS and the outbox: what is published, who is behind, what nobody could handle."""

from deploy.dashboards.grafana import GREEN, RED, Dashboard, Panel, Query, Section, Text
from deploy.dashboards.promql import highest, increase, quantile, rate, series, total

CHOSEN = 'durable=~"$durable"'

DASHBOARD = Dashboard(
    "carillon-events",
    "Carillon / NATS and outbox",
    "Events on their way: outbox, JetStream, consumers, dead letters.",
    [
        Section(
            "Outbox",
            [
                Panel(
                    "Events not published",
                    "Written with their transactions, not acknowledged by JetStream yet.",
                    [Query(highest("carillon_outbox_depth", by="component, lane"), "{{component}} {{lane}}")],
                ),
                Panel(
                    "Oldest event not published",
                    "Over a minute: NATS is away, full, or refuses the service's user. Nothing is lost.",
                    [Query(highest("carillon_outbox_oldest_seconds", by="component, lane"), "{{component}} {{lane}}")],
                    unit="s",
                    steps=[(None, GREEN), (60, RED)],
                ),
                Panel(
                    "Published",
                    "Events that JetStream acknowledged, a second. A bulk event tells of up to 500 objects.",
                    [Query(rate("carillon_outbox_published_total", by="component, lane"), "{{component}} {{lane}}")],
                    unit="ops",
                    stacked=True,
                ),
                Panel(
                    "Time to publish",
                    "From an event's making to JetStream's acknowledgement, p95.",
                    [
                        Query(
                            quantile(0.95, "carillon_outbox_publish_seconds", by="component, lane"),
                            "{{component}} {{lane}}",
                        )
                    ],
                    unit="s",
                ),
                Panel(
                    "Not acknowledged",
                    "Events that JetStream did not acknowledge within 5 seconds, in five minutes; they are tried "
                    "again.",
                    [
                        Query(
                            increase("carillon_outbox_publish_failures_total", by="component, lane", window="5m"),
                            "{{component}} {{lane}}",
                        )
                    ],
                    decimals=0,
                    steps=[(None, GREEN), (1, RED)],
                ),
                Panel(
                    "Connections lost",
                    "Of processes to NATS, in five minutes. Each connects again by itself.",
                    [
                        Query(
                            increase("carillon_nats_disconnects_total", by="component", window="5m"),
                            "{{component}}",
                        )
                    ],
                    decimals=0,
                ),
            ],
        ),
        Section(
            "Consumers",
            [
                Panel(
                    "Events waiting",
                    "In the stream, and not given to the consumer yet. Grows for long: more comes than is handled, or "
                    "nobody handles it.",
                    [Query(highest("carillon_consumer_pending", CHOSEN, by="durable"), "{{durable}}")],
                ),
                Panel(
                    "Handled late",
                    "From an event's making to its handler's end, p99.",
                    [Query(quantile(0.99, "carillon_consumer_lag_seconds", CHOSEN, by="durable"), "{{durable}}")],
                    unit="s",
                ),
                Panel(
                    "Handled",
                    "Events a second.",
                    [
                        Query(
                            rate("carillon_consumer_events_total", f'outcome="done",{CHOSEN}', by="durable"),
                            "{{durable}}",
                        )
                    ],
                    unit="ops",
                    stacked=True,
                ),
                Panel(
                    "Given and not acknowledged",
                    "Events that processes have in hand.",
                    [Query(highest("carillon_consumer_unacknowledged", CHOSEN, by="durable"), "{{durable}}")],
                ),
                Panel(
                    "Came again",
                    "Events a second that did not come for the first time: retried, or taken over from a process that "
                    "ended.",
                    [Query(rate("carillon_consumer_redelivered_total", CHOSEN, by="durable"), "{{durable}}")],
                    unit="ops",
                ),
                Panel(
                    "Retried",
                    "Events a second whose handler failed: mostly the database; the log (`consumer.failed`, "
                    "`consumer.outage`) says why.",
                    [
                        Query(
                            rate("carillon_consumer_events_total", f'outcome="retried",{CHOSEN}', by="durable"),
                            "{{durable}}",
                        )
                    ],
                    unit="ops",
                    steps=[(None, GREEN), (0.01, RED)],
                ),
                Panel(
                    "Time in the handler",
                    "Of one batch, p95.",
                    [Query(quantile(0.95, "carillon_consumer_batch_seconds", CHOSEN, by="durable"), "{{durable}}")],
                    unit="s",
                ),
                Panel(
                    "Dead letters",
                    "Events that no handler could take, in the stream DEAD under `dead.<durable>` with their reason.",
                    [Query(highest("carillon_consumer_dead_letters", CHOSEN, by="durable"), "{{durable}}")],
                    steps=[(None, GREEN), (1, RED)],
                ),
                Panel(
                    "Stopped",
                    "Processes whose consumer stopped after 100 dead letters within a minute. Find the cause (log "
                    "`consumer.dead_letter`), then restart them.",
                    [Query(total("carillon_consumer_stopped", CHOSEN, by="durable"), "{{durable}}")],
                    steps=[(None, GREEN), (1, RED)],
                ),
            ],
        ),
        Section(
            "Connections",
            [
                Panel(
                    "Processes without NATS",
                    "Processes whose connection does not stand. Who serves answers without it; events wait in the "
                    "outbox.",
                    [
                        Query(
                            f"count by (component) ({series('carillon_nats_connected')} == 0) "
                            f"or count by (component) ({series('carillon_nats_connected')}) * 0",
                            "{{component}}",
                        )
                    ],
                    width=12,
                    steps=[(None, GREEN), (1, RED)],
                ),
                Text(
                    "Everything here is what Carillon's own processes know. What goes on inside the servers — disk, "
                    "memory, replicas of a stream — is told by NATS' own exporter (`promExporter` of the nats-io/k8s "
                    "chart), which comes with a dashboard of its own.",
                    width=12,
                    height=8,
                ),
            ],
        ),
    ],
    variables={"durable": "carillon_consumer_pending"},
)
