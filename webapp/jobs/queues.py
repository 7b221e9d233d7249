"""The queues, in the order workers empty them, and how a row is handed to one.

The row is the truth, the queue is transport: where Redis can't be reached, nothing is lost and
nobody waits; the pulse hands over whatever is due.
"""

from functools import cache
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from webapp.application import settings
from webapp.jobs.haste import Haste
from webapp.logs import log

PEOPLE = "people"
PUSHES = "pushes"
DELIVERIES = "deliveries"
VERIFICATION = "verification"
PERIODIC = "periodic"
BULK = "bulk"
SENDINGS = "sendings"
CALCOM_SYNC = "calcom-sync"
NAMES = (PEOPLE, PUSHES, DELIVERIES, CALCOM_SYNC, PERIODIC, VERIFICATION, SENDINGS, BULK)

PUSH_TIMEOUT_SECONDS = 60
DELIVERY_TIMEOUT_SECONDS = 40
VERIFICATION_TIMEOUT_SECONDS = 300
BULK_TIMEOUT_SECONDS = 300
SENDING_TIMEOUT_SECONDS = 300
SERVICE_SYNC_TIMEOUT_SECONDS = 120
ROLLUP_TIMEOUT_SECONDS = 300

FAILURE_TTL_SECONDS = 7 * 24 * 3600

# What the pulse calls a due row → queue, function, time limit.
KINDS = {
    "push": (PEOPLE, "webapp.jobs.push.push", PUSH_TIMEOUT_SECONDS),
    "quiet_push": (PUSHES, "webapp.jobs.push.push", PUSH_TIMEOUT_SECONDS),
    "delivery": (DELIVERIES, "webapp.jobs.deliveries.work_off", DELIVERY_TIMEOUT_SECONDS),
    "verification": (PEOPLE, "webapp.jobs.verification.verify", PUSH_TIMEOUT_SECONDS),
    "quiet_verification": (
        VERIFICATION,
        "webapp.jobs.verification.verify",
        PUSH_TIMEOUT_SECONDS,
    ),
    "proof": (DELIVERIES, "webapp.jobs.proof.prove", PUSH_TIMEOUT_SECONDS),
    "reconnection": (PUSHES, "webapp.jobs.reconnection.reconnect", PUSH_TIMEOUT_SECONDS),
    "services": (DELIVERIES, "webapp.jobs.services.compare", PUSH_TIMEOUT_SECONDS),
    "run": (VERIFICATION, "webapp.jobs.runs.go_on", VERIFICATION_TIMEOUT_SECONDS),
    "bulk": (BULK, "webapp.jobs.bulk.work", BULK_TIMEOUT_SECONDS),
    "cleaning": (BULK, "webapp.jobs.cleaning.clean", BULK_TIMEOUT_SECONDS),
    "sealing": (BULK, "webapp.jobs.sealing.seal", BULK_TIMEOUT_SECONDS),
    "thresholds": (PERIODIC, "webapp.jobs.thresholds.evaluate", PUSH_TIMEOUT_SECONDS),
    "rollup": (VERIFICATION, "webapp.jobs.rollup.roll_up", ROLLUP_TIMEOUT_SECONDS),
    "sending": (SENDINGS, "webapp.jobs.sendings.send", SENDING_TIMEOUT_SECONDS),
    "service_sync": (
        CALCOM_SYNC,
        "webapp.jobs.service_sync.push_service",
        SERVICE_SYNC_TIMEOUT_SECONDS,
    ),
    "access_mail": (SENDINGS, "webapp.jobs.access_mail.send", SENDING_TIMEOUT_SECONDS),
}

DELIVERIES_AT_ONCE_PER_SECOND = 20.0
_delivery_haste = Haste(DELIVERIES_AT_ONCE_PER_SECOND)


@cache
def connect_for_web(url: str) -> Redis:
    """A client that gives up in a quarter of a second: the built-in retries take 4 to 20 s."""
    return Redis.from_url(
        url,
        socket_connect_timeout=0.25,
        socket_timeout=0.25,
        retry=Retry(NoBackoff(), 0),
    )


def enqueue_push(company_id: int, intent_id: int | None) -> None:
    """Hand an intent to the workers; None is nothing to do."""
    if intent_id is not None:
        hand_over("push", company_id, intent_id)


def enqueue_verification(company_id: int, appointment_id: int) -> None:
    hand_over("verification", company_id, appointment_id)


def enqueue_run(company_id: int, run_id: int) -> None:
    hand_over("run", company_id, run_id)


def enqueue_reconnection(company_id: int, row_id: int) -> None:
    hand_over("reconnection", company_id, row_id)


def enqueue_thresholds(company_id: int, row_id: int) -> None:
    hand_over("thresholds", company_id, row_id)


def enqueue_rollup(company_id: int, row_id: int) -> None:
    hand_over("rollup", company_id, row_id)


def enqueue_bulk(company_id: int, bulk_id: int) -> None:
    hand_over("bulk", company_id, bulk_id)


def enqueue_cleaning(company_id: int, row_id: int) -> None:
    hand_over("cleaning", company_id, row_id)


def enqueue_sealing(company_id: int, row_id: int) -> None:
    hand_over("sealing", company_id, row_id)


def enqueue_delivery(company_id: int, delivery_id: int) -> None:
    """Hand a delivery over at once; of a flood only the first, the pulse brings the others."""
    if _delivery_haste.allows():
        hand_over("delivery", company_id, delivery_id)


def enqueue_comparison(company_id: int) -> None:
    """The comparison of a company's services: its row is the company's own."""
    hand_over("services", company_id, company_id)


def hand_over(
    kind: str,
    company_id: int,
    row_id: int,
    connection: Redis | None = None,
    *,
    at_front: bool = False,
) -> bool:
    """Put a due row into its queue; False (and a log line) where Redis can't be reached."""
    try:
        hand_over_or_raise(kind, company_id, row_id, connection, at_front=at_front)
    except RedisError as error:
        log("queue").warning("enqueue_failed", kind=kind, error=type(error).__name__)
        return False
    return True


def hand_over_or_raise(
    kind: str,
    company_id: int,
    row_id: int,
    connection: Redis | None = None,
    *,
    at_front: bool = False,
) -> None:
    """The same for who has to say so: raises RedisError where Redis can't be reached."""
    queue_name, function, timeout = KINDS[kind]
    queue(queue_name, connection or connect_for_web(settings().redis_url)).enqueue(
        function,
        args=(company_id, row_id),
        job_id=job_id(kind, company_id, row_id),
        job_timeout=timeout,
        result_ttl=0,
        failure_ttl=FAILURE_TTL_SECONDS,
        at_front=at_front,
    )


def hand_over_first(kind: str, company_id: int, row_id: int, connection: Redis) -> bool:
    """The same, ahead of what waits there; a job of this row that stands further back is taken out.

    There may be one: who claims a row at the moment of a beat leaves its second job behind.
    """
    queue(KINDS[kind][0], connection).remove(job_id(kind, company_id, row_id))
    return hand_over(kind, company_id, row_id, connection, at_front=True)


def job_id(kind: str, company_id: int, row_id: int) -> str:
    """One id per row: what waits already is recognised and not queued twice."""
    return f"{kind.removeprefix('quiet_')}-{company_id}-{row_id}"


def waiting_job_ids(connection: Redis) -> set[str]:
    """The ids in all queues."""
    return {job for name in NAMES for job in queue(name, connection).job_ids}


def queue(name: str, connection: Redis) -> Queue:
    return Queue(name, connection=connection, serializer=JSONSerializer, job_class=JsonJob)


class JsonJob(Job):
    """A job that is JSON wherever it is made: rq-scheduler passes no serializer (S11)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["serializer"] = JSONSerializer
        super().__init__(*args, **kwargs)

    @classmethod
    def create(cls, *args: Any, **kwargs: Any) -> Job:
        kwargs["serializer"] = JSONSerializer
        return super().create(*args, **kwargs)

    @classmethod
    def fetch(cls, *args: Any, **kwargs: Any) -> Job:
        kwargs["serializer"] = JSONSerializer
        return super().fetch(*args, **kwargs)
