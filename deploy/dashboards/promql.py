"""The queries that panels are made of. Selectors are of the namespaces and jobs that the dashboard was asked for."""

from collections.abc import Sequence

from deploy.dashboards.grafana import Query

SELECTED = 'namespace=~"$namespace",job=~"$job"'
# Grafana's: long enough for a rate, whatever is zoomed to.
STEP = "$__rate_interval"


def series(metric: str, matchers: str = "") -> str:
    """matchers: `status=~"5..",method="GET"`."""
    return f"{metric}{{{SELECTED}{',' if matchers else ''}{matchers}}}"


def rate(metric: str, matchers: str = "", *, by: str = "", window: str = STEP) -> str:
    """A second, added up. by: labels that are kept."""
    return f"sum{keeping(by)}(rate({series(metric, matchers)}[{window}]))"


def increase(metric: str, matchers: str = "", *, by: str = "", window: str = STEP) -> str:
    return f"sum{keeping(by)}(increase({series(metric, matchers)}[{window}]))"


def highest(metric: str, matchers: str = "", *, by: str = "") -> str:
    """Of what every process that asks says alike: never added up."""
    return f"max{keeping(by)}({series(metric, matchers)})"


def total(metric: str, matchers: str = "", *, by: str = "") -> str:
    """Of what each process has for itself."""
    return f"sum{keeping(by)}({series(metric, matchers)})"


def quantile(q: float, histogram: str, matchers: str = "", *, by: str = "") -> str:
    """histogram: without `_bucket`."""
    kept = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', matchers, by=kept)})"


def quantiles(qs: Sequence[float], histogram: str, matchers: str = "", *, exemplars: bool = False) -> list[Query]:
    """Of all its series together: p50, p95, …"""
    return [Query(quantile(q, histogram, matchers), f"p{q * 100:.0f}", exemplars=exemplars) for q in qs]


def mean(histogram: str, matchers: str = "", *, by: str = "") -> str:
    return f"{rate(f'{histogram}_sum', matchers, by=by)} / {rate(f'{histogram}_count', matchers, by=by)}"


def ten_most(query: str) -> str:
    return f"topk(10, {query})"


def keeping(by: str) -> str:
    return f" by ({by}) " if by else ""
