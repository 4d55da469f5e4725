"""Postgres as our processes meet it: pools, transactions, errors."""

from deploy.dashboards.grafana import GREEN, RED, YELLOW, Dashboard, Panel, Query, Section, Text
from deploy.dashboards.promql import highest, increase, quantile, rate, series, total

CHOSEN = 'component=~"$component"'
BUSY = f'state="busy",{CHOSEN}'
POOL = "carillon_db_pool_connections"

DASHBOARD = Dashboard(
    "carillon-databases",
    "Carillon / Postgres and pools",
    "Postgres as Carillon's processes meet it: pools, transactions, errors, room for connections.",
    [
        Section(
            "Pools",
            [
                Panel(
                    "Waiting for a connection",
                    "p99 by component; a new connection's making is part of it. High for long: more is asked at once "
                    "than `database_pool` has room for, or transactions take long.",
                    [Query(quantile(0.99, "carillon_db_pool_wait_seconds", CHOSEN, by="component"), "{{component}}")],
                    unit="s",
                ),
                Panel(
                    "Connections in use",
                    "Of the most that the pools of a component may open.",
                    [
                        Query(
                            f"{total(POOL, BUSY, by='component')} / "
                            f"{total('carillon_db_pool_limit', CHOSEN, by='component')}",
                            "{{component}}",
                        )
                    ],
                    unit="percentunit",
                    most=1,
                    steps=[(None, GREEN), (0.8, YELLOW), (1, RED)],
                ),
                Panel(
                    "Connections",
                    "Open ones of all pools, busy and idle.",
                    [Query(total(POOL, CHOSEN, by="component, state"), "{{component}} {{state}}")],
                    stacked=True,
                ),
            ],
        ),
        Section(
            "Transactions",
            [
                Panel(
                    "Transactions",
                    "A second by component.",
                    [Query(rate("carillon_db_transaction_seconds_count", CHOSEN, by="component"), "{{component}}")],
                    unit="ops",
                    stacked=True,
                ),
                Panel(
                    "Time of a transaction",
                    "p99 by component, from begin to end.",
                    [Query(quantile(0.99, "carillon_db_transaction_seconds", CHOSEN, by="component"), "{{component}}")],
                    unit="s",
                ),
                Panel(
                    "Time by kind",
                    "p95 of transactions that read, write, or (of workers) are of no account.",
                    [Query(quantile(0.95, "carillon_db_transaction_seconds", CHOSEN, by="kind"), "{{kind}}")],
                    unit="s",
                ),
                Panel(
                    "Could not reach the database",
                    "Transactions a second that found it away, or lost it.",
                    [
                        Query(
                            rate("carillon_db_errors_total", f'kind="unreachable",{CHOSEN}', by="component"),
                            "{{component}}",
                        )
                    ],
                    unit="ops",
                    steps=[(None, GREEN), (0.01, RED)],
                ),
                Panel(
                    "Ended by the database",
                    "In five minutes, by why. conflict: a key that was there, which is ordinary where two write the "
                    "same; timeout: a statement or a lock.",
                    [
                        Query(
                            increase(
                                "carillon_db_errors_total", f'kind!="unreachable",{CHOSEN}', by="kind", window="5m"
                            ),
                            "{{kind}}",
                        )
                    ],
                    decimals=0,
                ),
                Panel(
                    "Waiting, spread",
                    "How many transactions waited how long for their connection.",
                    [Query(increase("carillon_db_pool_wait_seconds_bucket", CHOSEN, by="le"), "{{le}}")],
                    "heatmap",
                    unit="s",
                ),
            ],
        ),
        Section(
            "The server",
            [
                Panel(
                    "Connections to each database",
                    "Of everybody. Where databases share a server they share its limit.",
                    [Query(highest("carillon_postgres_connections", by="database"), "{{database}}")],
                    stacked=True,
                ),
                Panel(
                    "Connections left",
                    "Of `max_connections`, with what all databases take that are shown. At 0 nobody new is let in.",
                    [
                        Query(
                            f"max({series('carillon_postgres_connections_limit')}) - "
                            f"sum({highest('carillon_postgres_connections', by='database')})",
                            "left",
                        )
                    ],
                    steps=[(None, RED), (20, GREEN)],
                ),
                Panel(
                    "Size",
                    "Of each database on disk.",
                    [Query(highest("carillon_postgres_size_bytes", by="database"), "{{database}}")],
                    unit="bytes",
                    stacked=True,
                ),
                Text(
                    "Everything here is what Carillon's own processes know. Locks, checkpoints, replication and bloat "
                    "are told by an exporter of the server: CloudNativePG brings one, with a dashboard.",
                ),
            ],
        ),
    ],
    variables={"component": "carillon_db_pool_limit"},
)
