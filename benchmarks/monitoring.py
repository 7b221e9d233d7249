"""The monitoring page over 10,000 and over 1,000,000 rows of history (issue: at most 1.5 times).

The history is spread over 30 days, its changes took between 0.3 and 20 seconds. It is written
into an embedded PostgreSQL, our own job counts it, the page is asked through the application as a
browser would. The last line is one JSON object.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import Engine, create_engine, text

from benchmarks.house import ask, settings_for
from tests.factories import Person, Tenant, make_company, make_person
from webapp import create_app
from webapp.embedded import running_servers
from webapp.insight.monitoring import WINDOWS
from webapp.jobs.rollup import roll_up
from webapp.models.user import Role

SIZES = (10_000, 1_000_000)
TARGET_RATIO = 1.5
ROUNDS = 15

APPOINTMENTS = text(
    """
    INSERT INTO appointments (company_id, customer_id, service_id, starts_at, ends_at, status,
        notes, guests, created_at, created_by_origin, calcom_sync_status, sync_attempt_count,
        verification_error_streak, sync_verified_at, requires_manual_review, sync_origin, sync_key)
    SELECT :company, :customer, :service, now() + i * interval '1 minute',
           now() + i * interval '1 minute' + interval '30 minutes', 'confirmed', '', '[]',
           now() - random() * interval '30 days',
           (ARRAY['retell', 'admin', 'api', 'calcom', 'system'])[1 + i % 5],
           CASE WHEN i % 40 = 0 THEN 'failed' ELSE 'synced' END, 0, 0, now(), false, 'admin',
           gen_random_uuid()
      FROM generate_series(CAST(:since AS int), CAST(:until AS int)) i
    """
)
INTENTS = text(
    """
    INSERT INTO intents (company_id, appointment_id, kind, status, origin, is_interactive,
        created_at, due_at, finished_at, attempt_count, has_unknown_outcome, sent_starts)
    SELECT company_id, id, 'create', 'done', 'admin', true, created_at, created_at,
           created_at + interval '1 second', 1, false, '{}'
      FROM appointments WHERE company_id = :company
       AND id NOT IN (SELECT appointment_id FROM intents WHERE company_id = :company)
    """
)
HISTORY = text(
    """
    WITH pairs AS (SELECT row_number() OVER (ORDER BY id) - 1 AS n, id, appointment_id,
                          created_at FROM intents WHERE company_id = :company)
    INSERT INTO history_events (company_id, appointment_id, at, kind, origin, intent_id, data)
    SELECT :company, p.appointment_id,
           p.created_at + 0.3 * exp(random() * 4.2) * interval '1 second',
           (ARRAY['pushed', 'pushed', 'pushed', 'verified', 'push_retries', 'booked'])[1 + i % 6],
           'system', p.id, jsonb_build_object('code', 'HTTP_' || (500 + i % 5))
      FROM generate_series(CAST(:since AS int), CAST(:until AS int)) i
      JOIN pairs p ON p.n = i % (SELECT count(*) FROM pairs)
    """
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-bench-") as folder,
        running_servers(Path(folder)) as servers,
    ):
        os.environ |= settings_for(servers)
        app = create_app()
        app.config["WTF_CSRF_ENABLED"] = False
        url = servers.database_owner_url.replace("postgresql:", "postgresql+psycopg:")
        return _measure_all(app, create_engine(url))


def _measure_all(app: Flask, owner: Engine) -> int:
    with app.app_context():
        upgrade()
        company = make_company("bench")
        admin = make_person(company, Role.ADMIN)
    results, there = {}, 0
    for size in SIZES:
        _fill(owner, company, there, size)
        there = size
        with app.app_context():
            began = time.perf_counter()
            roll_up(company.id, company.id)
            counted = time.perf_counter() - began
        results[size] = _page_ms(app, admin)
        print(
            f"{size:>9} rows: counted in {counted:5.1f} s, then the page in "
            + ", ".join(f"{name} {ms:.1f} ms" for name, ms in results[size].items())
        )
    few, many = (results[size] for size in SIZES)
    ratio = max(many[name] / few[name] for name in WINDOWS)
    print(json.dumps({"benchmark": "monitoring", "ratio": round(ratio, 2), "target": TARGET_RATIO}))
    return 0 if ratio <= TARGET_RATIO else 1


def _fill(owner: Engine, company: Tenant, there: int, size: int) -> None:
    """One appointment with one intent to ten rows of history; what was counted is thrown away."""
    known = {"company": company.id, "customer": company.customer_id, "service": company.service_id}
    with owner.begin() as connection:
        connection.execute(APPOINTMENTS, known | {"since": there // 10 + 1, "until": size // 10})
        connection.execute(INTENTS, known)
        connection.execute(HISTORY, known | {"since": there + 1, "until": size})
        connection.execute(text("DELETE FROM rollups"))
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _page_ms(app: Flask, admin: Person) -> dict[str, float]:
    """Server time of each window, milliseconds: the quickest of some, for what else a machine does
    only adds to it."""
    client = app.test_client()
    client.post("/login", data={"email": admin.email, "password": admin.password})
    return {name: ask(client, f"/monitoring?window={name}", ROUNDS)[0] for name in WINDOWS}


if __name__ == "__main__":
    raise SystemExit(main())
