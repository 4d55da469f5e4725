"""REST: what is asked, how long it takes, what fails; and deliveries to webhooks."""

from deploy.dashboards.grafana import GREEN, RED, Dashboard, Panel, Query, Section
from deploy.dashboards.promql import highest, increase, quantile, quantiles, rate, ten_most, total

REQUESTS, SECONDS = "carillon_gateway_requests_total", "carillon_gateway_request_seconds"
CALLS, FAILED = 'kind="call"', 'status=~"5.."'

DASHBOARD = Dashboard(
    "carillon-gateway",
    "Carillon / Gateway",
    "REST requests by route: rate, errors, duration; and the deliveries to webhooks.",
    [
        Section(
            "Requests",
            [
                Panel(
                    "Requests by status",
                    "Requests a second by the status of their answer. 0: the client went before.",
                    [Query(rate(REQUESTS, by="status"), "{{status}}")],
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    "Requests by route",
                    "The ten routes that are asked most. `none`: no route matched.",
                    [Query(ten_most(rate(REQUESTS, by="method, route")), "{{method}} {{route}}")],
                    unit="reqps",
                ),
                Panel(
                    "In progress",
                    "Requests not yet answered. Streams stay for long.",
                    [Query(total("carillon_gateway_requests_in_progress", by="pod"), "{{pod}}")],
                ),
                Panel(
                    "Refused to clients",
                    "Answers 4xx a second, the ten most frequent. 429: an account's rate limit.",
                    [
                        Query(
                            ten_most(rate(REQUESTS, 'status=~"4.."', by="method, route, status")),
                            "{{status}} {{method}} {{route}}",
                        )
                    ],
                    unit="reqps",
                ),
                Panel(
                    "Failed by route",
                    "Answers 5xx a second. 503: a service or its database is away; 500: a fault of ours, with its "
                    "trace in the log (`request.failed`).",
                    [
                        Query(
                            ten_most(rate(REQUESTS, FAILED, by="method, route, status")),
                            "{{status}} {{method}} {{route}}",
                        )
                    ],
                    unit="reqps",
                ),
                Panel(
                    "Part that failed",
                    "Answers 5xx of all answers. The objective is below 0.1 %.",
                    [
                        Query(
                            f"({rate(REQUESTS, FAILED)} or {rate(REQUESTS)} * 0) / ({rate(REQUESTS)} > 0)",
                            "5xx",
                        )
                    ],
                    unit="percentunit",
                    decimals=2,
                    steps=[(None, GREEN), (0.001, RED)],
                ),
            ],
        ),
        Section(
            "Duration",
            [
                Panel(
                    "Duration of calls",
                    "From a request's head to its answer's end, without uploads, streams and waiting for jobs. Points "
                    "are traces.",
                    quantiles((0.5, 0.9, 0.95, 0.99), SECONDS, CALLS, exemplars=True),
                    unit="s",
                ),
                Panel(
                    "Slowest routes",
                    "The ten routes with the longest p95 of calls.",
                    [
                        Query(
                            ten_most(quantile(0.95, SECONDS, CALLS, by="method, route")),
                            "{{method}} {{route}}",
                            exemplars=True,
                        )
                    ],
                    unit="s",
                ),
                Panel(
                    "Spread of calls",
                    "How many calls took how long.",
                    [Query(increase(f"{SECONDS}_bucket", CALLS, by="le"), "{{le}}")],
                    "heatmap",
                    unit="s",
                ),
                Panel(
                    "Uploads and streams",
                    "Requests with a body over 1 MiB or of unknown length, and answers of unknown length, that ended.",
                    [Query(rate(f"{SECONDS}_count", 'kind!="call"', by="kind, route"), "{{kind}} {{route}}")],
                    unit="reqps",
                ),
                Panel(
                    "Duration of uploads and streams",
                    "They take as long as their clients let them: p95.",
                    [Query(quantile(0.95, SECONDS, 'kind!="call"', by="kind"), "{{kind}}")],
                    unit="s",
                ),
                Panel(
                    "Calls to services",
                    "p95 of the gRPC calls that the gateway makes, the ten slowest methods.",
                    [
                        Query(
                            ten_most(
                                quantile(0.95, "carillon_grpc_client_seconds", 'component="gateway"', by="method")
                            ),
                            "{{method}}",
                            exemplars=True,
                        )
                    ],
                    unit="s",
                    leads_to="carillon-grpc",
                ),
            ],
        ),
        Section(
            "Webhooks",
            [
                Panel(
                    "Deliveries",
                    "Attempts a second by outcome. No `delivered` for long beside `failed`: many endpoints fail at "
                    "once, or the way out is closed.",
                    [Query(rate("carillon_webhook_attempts_total", by="outcome"), "{{outcome}}")],
                    unit="ops",
                    stacked=True,
                ),
                Panel(
                    "Time to a delivery",
                    "From an event's making to its delivery, where the first attempt got through.",
                    quantiles((0.5, 0.95, 0.99), "carillon_webhook_seconds"),
                    unit="s",
                ),
                Panel(
                    "Endpoints in hand",
                    "Endpoints that each process delivers to. At `webhook_endpoints` every place is taken, and others "
                    "wait.",
                    [
                        Query(
                            highest("carillon_webhook_endpoints", 'component="gateway-work"', by="pod"),
                            "{{pod}}",
                        )
                    ],
                ),
            ],
        ),
    ],
)
