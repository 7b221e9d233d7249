"""The operator's figures for Prometheus, behind a token; without a token set there is no such page.

Companies stand in them by number, never by name."""

import hmac
from collections.abc import Iterable

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from webapp import clock
from webapp.application import settings
from webapp.jobs.measures import (
    OVERDUE,
    due_by_kind,
    living_by_kind,
    measure_companies,
    queue_lengths,
)

blueprint = Blueprint("metrics", __name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@blueprint.get("/metrics")
def show() -> ResponseReturnValue:
    token = settings().metrics_token
    if token is None:
        abort(404)
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
        return Response("token wanted\n", 401, {"WWW-Authenticate": "Bearer"}, "text/plain")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures())
    return Response(generate_latest(registry), content_type=CONTENT_TYPE)


class _Figures(Collector):
    def collect(self) -> Iterable[GaugeMetricFamily]:
        now = clock.now()
        lengths = queue_lengths()
        yield _single("lockstep_redis_up", "Whether Redis can be reached", lengths is not None)
        yield _labelled("lockstep_queue_jobs", "Jobs waiting in a queue", "queue", lengths or {})
        yield _labelled("lockstep_due_rows", "Rows that are due, by kind", "kind", due_by_kind(now))
        yield _labelled(
            "lockstep_overdue_rows",
            "Rows that have been due for a minute and more, by kind",
            "kind",
            due_by_kind(now - OVERDUE),
        )
        yield _labelled(
            "lockstep_processes", "Workers and schedulers that live", "kind", living_by_kind(now)
        )
        yield from self._of_companies()

    def _of_companies(self) -> Iterable[GaugeMetricFamily]:
        findings = GaugeMetricFamily(
            "lockstep_open_findings", "Findings in the review queue", labels=["company"]
        )
        breakers = GaugeMetricFamily(
            "lockstep_breaker_open", "Whether calls to Cal.com are held back", labels=["company"]
        )
        pushes = GaugeMetricFamily(
            "lockstep_pushes_last_hour",
            "Tries at changes within the last hour, by how they ended",
            labels=["company", "outcome"],
        )
        for each in measure_companies(clock.now()):
            number = str(each.company_id)
            findings.add_metric([number], each.open_findings)
            if each.is_breaker_open is not None:
                breakers.add_metric([number], each.is_breaker_open)
            for outcome, count in sorted(each.pushes.items()):
                pushes.add_metric([number, outcome], count)
        yield from (findings, breakers, pushes)


def _single(name: str, help_: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_, value=value)


def _labelled(name: str, help_: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
