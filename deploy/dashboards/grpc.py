"""The calls between services, as their servers and as their callers saw them."""

from deploy.dashboards.grafana import Dashboard, Panel, Query, Section
from deploy.dashboards.promql import mean, quantile, quantiles, rate, series, ten_most

SERVED, SERVER_SECONDS = "carillon_grpc_server_calls_total", "carillon_grpc_server_seconds"
CALLED, CLIENT_SECONDS = "carillon_grpc_client_calls_total", "carillon_grpc_client_seconds"
CHOSEN = 'component=~"$component"'
# What a caller did wrong, or was told on purpose, is no fault of the server.
FAULTS = f'code=~"INTERNAL|UNAVAILABLE|DEADLINE_EXCEEDED|UNKNOWN|RESOURCE_EXHAUSTED",{CHOSEN}'

DASHBOARD = Dashboard(
    "carillon-grpc",
    "Carillon / gRPC",
    "Calls between services: rate, errors, duration, on both sides.",
    [
        Section(
            "As servers saw them",
            [
                Panel(
                    "Calls answered",
                    "A second, by service.",
                    [Query(rate(SERVED, CHOSEN, by="component"), "{{component}}")],
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    "Methods called most",
                    "The ten with the most calls a second.",
                    [Query(ten_most(rate(SERVED, CHOSEN, by="method")), "{{method}}")],
                    unit="reqps",
                ),
                Panel(
                    "Answers by code",
                    "A second, without OK. NOT_FOUND, INVALID_ARGUMENT and their like are answers to callers; INTERNAL "
                    "is a fault of ours, UNAVAILABLE a database that is away.",
                    [Query(rate(SERVED, f'code!="OK",{CHOSEN}', by="component, code"), "{{component}} {{code}}")],
                    unit="reqps",
                ),
                Panel(
                    "Time to answer",
                    "Quantiles over all methods. Points are traces.",
                    quantiles((0.5, 0.95, 0.99), SERVER_SECONDS, CHOSEN, exemplars=True),
                    unit="s",
                ),
                Panel(
                    "Slowest methods",
                    "The ten with the longest p95. Streams last as long as what they carry.",
                    [
                        Query(
                            ten_most(quantile(0.95, SERVER_SECONDS, CHOSEN, by="method")), "{{method}}", exemplars=True
                        )
                    ],
                    unit="s",
                ),
                Panel(
                    "Failed by method",
                    "Calls a second that ended in a fault of the server, or found no room.",
                    [Query(ten_most(rate(SERVED, FAULTS, by="method, code")), "{{code}} {{method}}")],
                    unit="reqps",
                ),
            ],
        ),
        Section(
            "As callers saw them",
            [
                Panel(
                    "Calls made",
                    "A second, by who calls.",
                    [Query(rate(CALLED, CHOSEN, by="component"), "{{component}}")],
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    "Calls that failed",
                    "A second, by who called. UNAVAILABLE here and not above: the server was not reached. CANCELLED: "
                    "the caller's own caller went.",
                    [
                        Query(
                            rate(CALLED, f"{FAULTS.replace('INTERNAL', 'INTERNAL|CANCELLED')}", by="component, code"),
                            "{{component}} {{code}}",
                        )
                    ],
                    unit="reqps",
                ),
                Panel(
                    "Time to an answer",
                    "Quantiles over all methods, with the way and the waiting for a connection.",
                    quantiles((0.5, 0.95, 0.99), CLIENT_SECONDS, CHOSEN, exemplars=True),
                    unit="s",
                ),
                Panel(
                    "On the way",
                    "What a call takes longer for its caller than for its server, on average, the ten methods with the "
                    "longest way: the network, both event loops, waiting for a server that restarts.",
                    [
                        Query(
                            ten_most(f"{mean(CLIENT_SECONDS, by='method')} - {mean(SERVER_SECONDS, by='method')}"),
                            "{{method}}",
                        )
                    ],
                    unit="s",
                    width=24,
                ),
                Panel(
                    "Certificates end in",
                    "Of the certificate in each component's files that ends first: its own (cert) and its authority's "
                    "(ca). Nothing where there is no TLS between the services.",
                    [
                        Query(
                            "min by (component, file) "
                            f"({series('carillon_tls_certificate_expires_timestamp_seconds', CHOSEN)}) - time()",
                            "{{component}} {{file}}",
                        )
                    ],
                    unit="s",
                    width=24,
                ),
            ],
        ),
    ],
    variables={"component": "carillon_event_loop_lag_seconds_count"},
)
