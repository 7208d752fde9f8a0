"""The metrics of `GET /metrics`, with their labels."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from app.telemetry import metrics
from scripts.docs.tables import code, table


def markdown() -> str:
    """Return a row for each metric, in the order in which the code declares them."""
    rows = []
    for made in vars(metrics).values():
        if isinstance(made, Counter | Gauge | Histogram):
            (family,) = made.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            # prometheus_client has no public name for the labels of a metric without samples.
            labels = ", ".join(code(label) for label in made._labelnames)
            rows.append((code(name), family.type, labels, family.documentation))
    return table(("metric", "type", "labels", "meaning"), rows)
