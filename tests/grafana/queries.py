"""Expressions of PromQL over our metrics, by their definitions; a name that is not in the table is no query."""

from __future__ import annotations

from procession.telemetry import names
from procession.telemetry.metric import Metric
from procession.telemetry.names import METRICS
from tests.grafana.panels import Query, Variable

_INSTANCE = 'instance=~"$instance"'
_OF = {metric.name: metric for metric in METRICS}


def at(metric: Metric | str, *filters: str) -> str:
    """Series of a metric, of the instances that were chosen."""
    found = metric if isinstance(metric, Metric) else _OF[metric]
    chosen = [f'{label}=~"${label}"' for label in found.labels if label in ("process", "gateway")]
    return every(found, *chosen, *filters)


def every(metric: Metric | str, *filters: str) -> str:
    """Series of a metric, of all processes and gateways."""
    found = metric if isinstance(metric, Metric) else _OF[metric]
    return f"{found.in_prometheus}{{{', '.join([_INSTANCE, *filters])}}}"


def part(metric: Metric, which: str) -> str:
    """The sum, or the count, of a histogram."""
    return every(metric).replace("{", f"_{which}{{", 1)


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"


def rate(series: str, by: str = "") -> str:
    """How much more a second."""
    return f"{_sum(by)}(rate({series}[$__rate_interval]))"


def more(series: str, by: str = "") -> str:
    """How much more in the time that is shown."""
    return f"{_sum(by)}(increase({series}[$__range]))"


def buckets(series: str) -> str:
    """The buckets of a histogram."""
    return series.replace("{", "_bucket{", 1)


def quantile(share: float, series: str, by: str = "") -> str:
    """What so large a share of the observations does not exceed."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({buckets(series)}[$__rate_interval])))"


def quantiles(series: str) -> tuple[Query, ...]:
    """The median, and what is slow."""
    return tuple(Query(quantile(share, series), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99))


def share(part: str, whole: str, by: str = "") -> str:
    """What one rate is of another."""
    return f"{rate(part, by)} / {rate(whole, by)}"


def heat(series: str) -> tuple[Query, ...]:
    """How many observations fall into each bucket."""
    return (Query(f"sum by (le) (increase({buckets(series)}[$__rate_interval]))", "{{le}}"),)


def instances() -> Variable:
    """Which processes of the system are shown."""
    return Variable("instance", names.BUILD.in_prometheus)
