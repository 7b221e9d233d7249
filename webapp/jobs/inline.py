"""Due work done here and now instead of by a worker: for sample data and for tests."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.jobs.queues import KINDS, NAMES, connect_for_web, queue
from webapp.models.crossing import due_rows

MOST_ROUNDS = 50


def work_off_due() -> int:
    """Do whatever is due, until nothing is; returns how many jobs ran.

    Raises RuntimeError where a job leaves its row due for ever.
    """
    done = 0
    for _ in range(MOST_ROUNDS):
        rows = due_rows(db.session(), clock.now(), 1000)
        db.session.rollback()
        if not rows:
            return done
        for kind, company_id, row_id in rows:
            run_job(kind, company_id, row_id)
        done += len(rows)
    raise RuntimeError(f"work that never ends: {rows}")


def forget_queued() -> None:
    """Empty the queues of what was queued meanwhile and is done: the rows are the truth."""
    connection = connect_for_web(settings().redis_url)
    for name in NAMES:
        queue(name, connection).empty()  # type: ignore[no-untyped-call]


def run_job(kind: str, company_id: int, row_id: int) -> None:
    """Carry out the job of a due row, as a worker would."""
    module, _, function = KINDS[kind][1].rpartition(".")
    job = cast(Callable[[int, int], None], getattr(import_module(module), function))
    job(company_id, row_id)
