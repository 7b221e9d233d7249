"""Backup and restore as docs/operating.md tells: every row, and every wall between companies."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask_migrate import upgrade
from sqlalchemy import Connection, Engine, create_engine, inspect, text

from tests.contracts.filling import fill, make_company
from webapp import create_app
from webapp.embedded import Postgres, running_postgres
from webapp.embedded.account import server_account
from webapp.embedded.binaries import postgres_programs
from webapp.settings import Settings

pytestmark = [pytest.mark.long, pytest.mark.processes]

GUIDE = Path(__file__).parents[2] / "docs" / "operating.md"
DUMP = "pg_dump --format=custom --file=lockstep.dump"
RESTORE = "pg_restore --no-owner --role=lockstep_owner --dbname="
WALLS = {
    "policies": "SELECT tablename, policyname, roles::text, qual, with_check FROM pg_policies",
    "walled off": "SELECT relname FROM pg_class WHERE relrowsecurity",
    "grants": (
        "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants"
        " WHERE table_schema = 'public'"
    ),
    "crossings": (
        "SELECT proname, prosecdef, proacl::text FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace"
    ),
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
}


@pytest.fixture
def two_machines(tmp_path: Path) -> Iterator[tuple[Postgres, Postgres]]:
    with ExitStack() as stack:
        old, new = (
            stack.enter_context(running_postgres(tmp_path / name, False)) for name in ("old", "new")
        )
        yield old, new


def test_what_is_backed_up_is_restored_whole(
    two_machines: tuple[Postgres, Postgres], settings: Settings, tmp_path: Path
) -> None:
    old, new = two_machines
    before, after = (create_engine(each.database_owner_url) for each in two_machines)
    with create_app(_on(old, settings)).app_context():
        upgrade()
    company_id = make_company(before)
    fill(before, company_id)

    run(f"{DUMP} {address_of(old)}", tmp_path)
    run(f"{RESTORE}{address_of(new)} lockstep.dump", tmp_path)

    assert rows(after) == rows(before)
    for what, query in WALLS.items():
        assert answer(after, query) == answer(before, query) != [], what
    with create_engine(new.database_url).begin() as served:
        assert number_of(served) == 0
        served.execute(text(f"SELECT set_config('app.company_id', '{company_id}', true)"))
        assert number_of(served) == 1
    next_id = "SELECT nextval(pg_get_serial_sequence('appointments', 'id'))"
    assert answer(after, next_id) == answer(before, next_id)


def test_the_guide_says_so() -> None:
    guide = GUIDE.read_text()
    assert DUMP in guide
    assert RESTORE in guide


def _on(postgres: Postgres, settings: Settings) -> Settings:
    addresses = {
        "database_url": postgres.database_url,
        "database_owner_url": postgres.database_owner_url,
    }
    return settings.model_copy(update=addresses)


def address_of(postgres: Postgres) -> str:
    return postgres.database_owner_url.replace("+psycopg", "")


def run(command: str, folder: Path) -> None:
    program, *words = command.split()
    path = postgres_programs(server_account()) / program
    done = subprocess.run([path, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def rows(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    tables = inspect(engine).get_table_names()
    assert len(tables) > 30
    found = {table: answer(engine, f'SELECT t::text FROM "{table}" t') for table in tables}
    assert [table for table, there in found.items() if not there] == ["heartbeats"], "of no company"
    return found


def answer(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return sorted(tuple(row) for row in connection.execute(text(query)))


def number_of(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM appointments")).scalar_one())
