"""A full sweep beside a plain loop: one GET on a kept-alive connection and two UPDATEs for each
appointment. One process tree: embedded servers, one sandbox that takes 30 ms for every answer and
limits nobody, and a process of its own for whatever is measured.

The last line is one JSON object. Each size is verified three times: for the time, for the memory
(tracemalloc costs time), and with 1 % of the appointments disagreeing.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from flask_migrate import upgrade
from sqlalchemy import select, update

from tests.desk import Cal
from tests.factories import Tenant, make_company
from tests.filled import Pair, disturb, fill_calendar
from webapp import clock, create_app
from webapp.application import vault
from webapp.embedded import running_servers
from webapp.extensions import db
from webapp.jobs.inline import run_job, work_off_due
from webapp.models.appointment import Appointment
from webapp.models.company import Company, Secret
from webapp.models.discrepancy import Discrepancy
from webapp.models.run import Run, RunScope
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sync.runs import start_run

LATENCY_SECONDS = 0.03
NO_LIMIT = 1_000_000_000
SIZES = (2_000, 20_000)
TARGETS = {"appointments_per_request": 200, "times_faster": 50, "memory_growth": 1.3}
MEGABYTE = 1024 * 1024


def main() -> int:
    arguments = _read_arguments()
    if arguments.measure:
        print(json.dumps(MEASURES[arguments.measure](arguments.company, arguments.most)))
        return 0
    with _stage() as sandbox_url:
        sizes = {str(size): _measure_size(size, sandbox_url, arguments.loop_most) for size in SIZES}
    small, big = (sizes[str(size)]["ours"]["peak_mb"] for size in SIZES)
    result = {"sizes": sizes, "memory_growth": round(big / small, 3)}
    _print_table(result)
    print(json.dumps(result))
    return 0


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--loop-most",
        type=int,
        default=max(SIZES),
        help="measure the loop on this many at most, and reckon the rest (said in the result)",
    )
    parser.add_argument("--measure", choices=sorted(MEASURES), help=argparse.SUPPRESS)
    parser.add_argument("--company", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--most", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def _stage() -> Iterator[str]:
    """Servers, sandbox and application; the sandbox's address."""
    with ExitStack() as stack:
        url = stack.enter_context(_sandbox())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lockstep-bench-"))
        servers = stack.enter_context(running_servers(Path(folder), durable=False))
        os.environ |= {
            "DATABASE_URL": servers.database_url,
            "DATABASE_OWNER_URL": servers.database_owner_url,
            "REDIS_URL": servers.redis_url,
            "SECRET_KEY": "a secret for the benchmark only, long enough",
            "ENCRYPTION_KEYS": "1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            "ALLOW_PRIVATE_NETWORKS": "true",
            "CALCOM_CALLS_PER_MINUTE": str(NO_LIMIT),
            "ABSENCE_GAP_SECONDS": "0",
            "LOG_LEVEL": "ERROR",
        }
        with create_app().app_context():
            upgrade()
            yield url


@contextmanager
def _sandbox() -> Iterator[str]:
    command = [sys.executable, "-m", "webapp.sandbox", "--port", "0", "--rate-limit", str(NO_LIMIT)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("sandbox: ").strip()
    finally:
        process.terminate()
        process.wait()


def _measure_size(size: int, url: str, loop_most: int) -> dict[str, Any]:
    _say(f"{size:,} appointments: filling both sides")
    company, cal, pairs = _fill(size, url)
    cal.fail({"kind": "latency", "seconds": LATENCY_SECONDS})
    _say("our full sweep")
    ours = _in_a_process("sweep", company)
    _say(json.dumps(ours))
    ours["peak_mb"] = _in_a_process("sweep_memory", company)["peak_mb"]
    measured = min(size, loop_most)
    _say(f"the loop over {measured:,}")
    loop = _in_a_process("loop", company, measured)
    loop["peak_mb"] = _in_a_process("loop_memory", company, min(size, 500))["peak_mb"]
    loop = _reckon(loop, size, measured)
    _say("1 % disagreeing")
    disagreeing = _measure_disagreeing(company, cal, pairs)
    cal.heal()
    return {
        "ours": ours,
        "loop": loop,
        "appointments_per_request": round(size / ours["listings"], 1),
        "times_faster": round(loop["seconds"] / ours["seconds"], 1),
        "disagreeing": disagreeing,
    }


def _reckon(loop: dict[str, Any], size: int, measured: int) -> dict[str, Any]:
    """Where the loop ran over a part, say so and reckon the whole."""
    if measured == size:
        return loop
    whole = {"requests": loop["requests"] * size // measured}
    whole["seconds"] = round(loop["seconds"] * size / measured, 2)
    return {**loop, **whole, "measured_on": measured, "measured_seconds": loop["seconds"]}


def _fill(size: int, url: str) -> tuple[Tenant, Cal, list[Pair]]:
    slug = f"bench-{size}"
    cal = Cal(url, f"{slug}@cal.test")
    account = cal.put("accounts", {"email": f"{slug}@cal.test", "key": f"cal_{slug}"})
    event_type = {"title": "Consultation", "slug": "consultation", "lengthInMinutes": 30}
    made = cal.put("event-types", {**event_type, "account": account["id"]})
    company = make_company(
        slug, calcom_url=f"{url}/v2", api_key=f"cal_{slug}", event_type_id=made["id"]
    )
    return company, cal, fill_calendar(company, cal, size)


def _in_a_process(measure: str, company: Tenant, most: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.verify", "--measure", measure]
    command += ["--company", str(company.id), "--most", str(most)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return result


def _sweep(company_id: int, _most: int) -> dict[str, Any]:
    """A full sweep as a worker does it, from the run's row to its end."""
    with create_app().app_context():
        began = time.perf_counter()
        run = _run(company_id)
        seconds = time.perf_counter() - began
        assert run.status.value == "done", run.error_code
        return {
            "requests": run.request_count,
            "listings": run.listing_count,
            "seconds": round(seconds, 3),
            "compared": run.compared_count,
            "agreed": run.agreed_count,
            "max_rss_mb": _max_rss(),
        }


def _run(company_id: int) -> Run:
    with as_company(company_id):
        run_id = start_run(db.session(), scope=RunScope.FULL, now=clock.now())
        db.session.commit()
    assert run_id is not None
    run_job("run", company_id, run_id)
    with as_company(company_id):
        run = db.session.get_one(Run, (company_id, run_id))
        db.session.expunge(run)
        return run


def _loop(company_id: int, most: int) -> dict[str, Any]:
    """What one would write first."""
    app = create_app()
    with app.app_context(), as_company(company_id):
        company = db.session.get_one(Company, company_id)
        url, key = company.calcom_base_url, company.secret(Secret.API_KEY, vault())
        headers = {"Authorization": f"Bearer {key}", "cal-api-version": "2024-08-13"}
        requests = 0
        began = time.perf_counter()
        rows = db.session.execute(
            select(Appointment.id, Appointment.calcom_v2_booking_id, Appointment.starts_at)
            .order_by(Appointment.id)
            .limit(most)
        ).all()
        db.session.commit()
        with httpx.Client(headers=headers) as client:
            for id_, uid, starts_at in rows:
                answer = client.get(f"{url}/bookings/{uid}").raise_for_status().json()["data"]
                requests += 1
                _write_down(id_, agrees=answer["start"][:16] == starts_at.isoformat()[:16])
        seconds = time.perf_counter() - began
    return {"requests": requests, "seconds": round(seconds, 3), "max_rss_mb": _max_rss()}


def _write_down(appointment_id: int, *, agrees: bool) -> None:
    status = "synced" if agrees else "failed"
    for values in (
        {"last_sync_attempt_at": clock.now()},
        {"sync_verified_at": clock.now(), "calcom_sync_status": status},
    ):
        db.session.execute(
            update(Appointment).where(Appointment.id == appointment_id).values(values),
            execution_options={"synchronize_session": False},
        )
    db.session.commit()


def _with_memory(
    measure: Callable[[int, int], dict[str, Any]],
) -> Callable[[int, int], dict[str, Any]]:
    def traced(company_id: int, most: int) -> dict[str, Any]:
        tracemalloc.start()
        result = measure(company_id, most)
        result["peak_mb"] = round(tracemalloc.get_traced_memory()[1] / MEGABYTE, 2)
        return result

    return traced


MEASURES: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "sweep": _sweep,
    "sweep_memory": _with_memory(_sweep),
    "loop": _loop,
    "loop_memory": _with_memory(_loop),
}


def _measure_disagreeing(company: Tenant, cal: Cal, pairs: list[Pair]) -> dict[str, Any]:
    """1 % parted in every way that exists: found, rightly named, and nothing else touched."""
    expected = disturb(company, cal, pairs[50::100])
    clock.advance(timedelta(minutes=30))
    began = time.perf_counter()
    run = _run(company.id)
    seconds = time.perf_counter() - began
    work_off_due()
    with as_company(company.id):
        rows = db.session.scalars(select(Discrepancy).where(Discrepancy.resolved_at.is_(None)))
        found = {row.appointment_id: (row.type, row.evidence["branch"]) for row in rows}
        states = dict(
            db.session.execute(select(Appointment.id, Appointment.calcom_sync_status)).all()
        )
    touched = {id_ for id_, state in states.items() if state is not SyncState.SYNCED}
    return {
        "disturbed": len(expected),
        "found": len(expected.keys() & found.keys()),
        "rightly_named": sum(found.get(id_) == named for id_, named in expected.items()),
        "others_touched": len((touched | found.keys()) - expected.keys()),
        "requests": run.request_count,
        "seconds": round(seconds, 3),
    }


def _print_table(result: dict[str, Any]) -> None:
    print(f"{'':>9} {'':>6} {'requests':>9} {'seconds':>9} {'peak MB':>8}")
    for size, figures in result["sizes"].items():
        for who in ("ours", "loop"):
            of = figures[who]
            print(
                f"{size:>9} {who:>6} {of['requests']:>9,} {of['seconds']:>9.2f}"
                f" {of['peak_mb']:>8.2f}"
            )
        print(
            f"{'':>9} {figures['appointments_per_request']} appointments per listing"
            f" (wanted: {TARGETS['appointments_per_request']}),"
            f" {figures['times_faster']} times faster"
            f" (wanted at {SIZES[0]:,}: {TARGETS['times_faster']})"
        )
        print(f"{'':>9} 1 % disagreeing: {figures['disagreeing']}")
    print(f"memory grows by {result['memory_growth']} (wanted: {TARGETS['memory_growth']} at most)")


def _max_rss() -> float:
    """The process' own peak, in MB; the unit differs by system."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE, 1)


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
