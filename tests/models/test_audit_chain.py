"""The audit log can be added to and not be changed; whoever changes it all the same is found."""

import sys
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

from tests.factories import Tenant
from webapp import clock
from webapp.cli.audit import exported
from webapp.extensions import db
from webapp.jobs import cleaning, schedule, sealing
from webapp.jobs.sealing import seal
from webapp.models.audit import record_audit
from webapp.models.audit_chain import Break, BreakKind, Chain, verify_chain
from webapp.models.crossing import prune_audit
from webapp.models.tenancy import as_company
from webapp.settings import Settings


@pytest.fixture
def acting(engine: Flask, company: Tenant) -> Tenant:
    return company


def write(tenant: Tenant, *actions: str, days_ago: int = 0) -> None:
    with as_company(tenant.id):
        for action in actions:
            at = clock.now() - timedelta(days=days_ago)
            record_audit(db.session(), action, "company:1", at=at, note="Käse", share=0.5)
        db.session.commit()


def chain_of(tenant: Tenant) -> Chain:
    with as_company(tenant.id):
        return verify_chain(db.session())


def ids(owner_engine: Engine) -> list[int]:
    with owner_engine.connect() as connection:
        return list(connection.scalars(text("SELECT id FROM audit_entries ORDER BY id")))


def as_owner(owner_engine: Engine, statement: str, **values: object) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text(statement), values)


def write_and_seal(tenant: Tenant, number: int = 5, days_ago: int = 0) -> None:
    write(tenant, *(f"act.{each}" for each in range(number)), days_ago=days_ago)
    assert seal(tenant.id, tenant.id) == number
    assert chain_of(tenant).broken is None


def test_what_was_written_is_sealed_once_and_the_chain_is_whole(acting: Tenant) -> None:
    write(acting, "one", "two")
    assert chain_of(acting).unsealed == 2

    assert seal(acting.id, acting.id) == 2
    assert seal(acting.id, acting.id) == 0
    write(acting, "three")
    assert seal(acting.id, acting.id) == 1

    chain = chain_of(acting)
    assert (chain.sealed, chain.unsealed, chain.head.number, chain.broken) == (3, 0, 3, None)


@pytest.mark.parametrize(
    "change",
    [
        "action = 'another'",
        'data = \'{"note": "Wurst"}\'',
        "at = at + interval '1 microsecond'",
        "user_id = 1",
        "subject = 'company:2'",
        "actor = 'operator'",
    ],
)
def test_a_changed_entry_is_named(acting: Tenant, owner_engine: Engine, change: str) -> None:
    write_and_seal(acting)
    third = ids(owner_engine)[2]

    as_owner(owner_engine, f"UPDATE audit_entries SET {change} WHERE id = :id", id=third)

    assert chain_of(acting).broken == Break(BreakKind.CHANGED, 3, third)


def test_a_removed_entry_is_named(acting: Tenant, owner_engine: Engine) -> None:
    write_and_seal(acting)
    third = ids(owner_engine)[2]

    as_owner(owner_engine, "DELETE FROM audit_entries WHERE id = :id", id=third)

    assert chain_of(acting).broken == Break(BreakKind.REMOVED, 3, third)


def test_an_entry_removed_together_with_its_seal_is_missed_by_number(
    acting: Tenant, owner_engine: Engine
) -> None:
    write_and_seal(acting)
    third = ids(owner_engine)[2]

    as_owner(owner_engine, "DELETE FROM audit_entries WHERE id = :id", id=third)
    as_owner(owner_engine, "DELETE FROM audit_seals WHERE entry_id = :id", id=third)

    assert chain_of(acting).broken == Break(BreakKind.REMOVED, 3, None)


def test_the_beginning_removed_without_a_checkpoint_is_missed(
    acting: Tenant, owner_engine: Engine
) -> None:
    write_and_seal(acting)
    first = ids(owner_engine)[0]

    as_owner(owner_engine, "DELETE FROM audit_entries WHERE id = :id", id=first)
    as_owner(owner_engine, "DELETE FROM audit_seals WHERE entry_id = :id", id=first)

    assert chain_of(acting).broken == Break(BreakKind.REMOVED, 1, None)


def test_an_inserted_entry_is_named(acting: Tenant, owner_engine: Engine) -> None:
    write(acting, "one")
    as_owner(owner_engine, "SELECT nextval(pg_get_serial_sequence('audit_entries', 'id'))")
    write(acting, "three")
    assert seal(acting.id, acting.id) == 2
    first, third = ids(owner_engine)

    as_owner(
        owner_engine,
        "INSERT INTO audit_entries (company_id, id, at, actor, action, subject, data)"
        " VALUES (:company, :id, now(), 'system', 'two', 'x', '{}')",
        company=acting.id,
        id=first + 1,
    )

    assert third == first + 2
    assert chain_of(acting).broken == Break(BreakKind.INSERTED, None, first + 1)
    assert seal(acting.id, acting.id) == 0, "it is never sealed afterwards"


def test_of_two_breaks_the_first_is_named(acting: Tenant, owner_engine: Engine) -> None:
    write_and_seal(acting)
    second, fourth = ids(owner_engine)[1], ids(owner_engine)[3]
    as_owner(owner_engine, "DELETE FROM audit_entries WHERE id = :id", id=fourth)

    as_owner(owner_engine, "UPDATE audit_entries SET action = 'x' WHERE id = :id", id=second)

    assert chain_of(acting).broken == Break(BreakKind.CHANGED, 2, second)


def test_an_entry_still_under_way_is_waited_for_before_later_ones_are_sealed(
    acting: Tenant, owner_engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is lower and it isn't there yet: sealed without it, it would look inserted."""
    monkeypatch.setattr(sealing, "LOCK_MILLISECONDS", 100)
    serving = create_engine(settings.database_url)
    with serving.connect() as slow:
        _insert_slowly(slow, acting)
        write(acting, "later")

        assert seal(acting.id, acting.id) == 0

        slow.commit()
    serving.dispose()
    assert seal(acting.id, acting.id) == 2
    assert chain_of(acting).broken is None


def test_two_sealers_at_once_make_one_chain(acting: Tenant, app: Flask) -> None:
    write(acting, *(f"act.{each}" for each in range(40)))
    counts: list[int] = []

    def work() -> None:
        with app.app_context():
            counts.append(seal(acting.id, acting.id))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(counts) == 3, "nobody stumbles over the others"
    assert sum(counts) == 40
    chain = chain_of(acting)
    assert (chain.head.number, chain.broken) == (40, None)


def test_each_company_has_a_chain_of_its_own(acting: Tenant, other_company: Tenant) -> None:
    write(acting, "one")
    write(other_company, "two")

    assert seal(acting.id, acting.id) == seal(other_company.id, other_company.id) == 1

    assert chain_of(acting).head.number == chain_of(other_company).head.number == 1
    assert chain_of(acting).head.hash != chain_of(other_company).head.hash


@pytest.mark.parametrize("table", ["audit_entries", "audit_seals", "audit_checkpoints"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}"])
def test_the_serving_role_can_neither_change_nor_remove(
    acting: Tenant, settings: Settings, table: str, statement: str
) -> None:
    serving = create_engine(settings.database_url)
    with serving.connect() as connection, pytest.raises(ProgrammingError, match="denied"):
        connection.execute(text(statement.format(table)))
    serving.dispose()


def test_the_old_is_forgotten_and_the_rest_still_verified(
    acting: Tenant, other_company: Tenant, owner_engine: Engine, settings: Settings
) -> None:
    write_and_seal(acting, 3, days_ago=settings.keep_audit_days + 1)
    write_and_seal(acting, 2, days_ago=settings.keep_audit_days - 1)
    write_and_seal(other_company, 2, days_ago=settings.keep_audit_days + 1)
    before = ids(owner_engine)

    forgotten = cleaning.clean(acting.id, acting.id)

    assert forgotten["audit"] == 3
    assert ids(owner_engine) == before[3:], "another company's are forgotten in its own night"
    chain = chain_of(acting)
    assert (chain.sealed, chain.head.number, chain.broken) == (2, 5, None)
    write(acting, "new")
    assert seal(acting.id, acting.id) == 1
    assert chain_of(acting).head.number == 6
    assert chain_of(acting).broken is None


def test_a_log_that_was_forgotten_whole_goes_on_from_its_checkpoint(
    acting: Tenant, settings: Settings
) -> None:
    write_and_seal(acting, 3, days_ago=settings.keep_audit_days + 1)
    cleaning.clean(acting.id, acting.id)

    write(acting, "new")
    seal(acting.id, acting.id)

    chain = chain_of(acting)
    assert (chain.sealed, chain.head.number, chain.broken) == (1, 4, None)


def test_what_is_not_sealed_is_not_forgotten(
    acting: Tenant, owner_engine: Engine, settings: Settings
) -> None:
    write(acting, "one", days_ago=settings.keep_audit_days + 1)

    cleaning.clean(acting.id, acting.id)

    assert len(ids(owner_engine)) == 1


def test_a_broken_chain_is_evidence_and_stays(
    acting: Tenant, owner_engine: Engine, settings: Settings
) -> None:
    write_and_seal(acting, 3, days_ago=settings.keep_audit_days + 1)
    second = ids(owner_engine)[1]
    as_owner(owner_engine, "UPDATE audit_entries SET action = 'x' WHERE id = :id", id=second)

    assert cleaning.clean(acting.id, acting.id)["audit"] == 0

    assert len(ids(owner_engine)) == 3


def test_the_database_forgets_nothing_young_whatever_it_is_told(
    acting: Tenant, owner_engine: Engine
) -> None:
    write_and_seal(acting, 2, days_ago=29)

    with as_company(acting.id):
        assert prune_audit(db.session(), clock.now() + timedelta(days=1), 100) == 0
        db.session.commit()

    assert len(ids(owner_engine)) == 2


def test_the_schedule_seals_by_itself(acting: Tenant) -> None:
    write(acting, "one")

    with as_company(acting.id):
        begun = schedule.begin_if_due(db.session(), schedule.TASKS["sealing"], clock.now())
        db.session.commit()
    assert begun == acting.id
    seal(acting.id, begun)

    clock.advance(timedelta(hours=1))
    with as_company(acting.id):
        assert (
            schedule.begin_if_due(db.session(), schedule.TASKS["sealing"], clock.now()) is None
        ), "there is nothing to seal"


def test_the_command_verifies_exports_and_compares_a_noted_seal(
    acting: Tenant, app: Flask, owner_engine: Engine
) -> None:
    runner: FlaskCliRunner = app.test_cli_runner()
    write(acting, "one", "two")
    assert runner.invoke(args=["audit", "seal", "sonnenschein"]).output == "2 sealed\n"
    whole = runner.invoke(args=["audit", "verify"])
    assert whole.exit_code == 0
    assert "whole" in whole.output
    noted = f"2:{chain_of(acting).head.hash.hex()}"
    verify = ["audit", "verify", "sonnenschein"]
    assert runner.invoke(args=[*verify, "--expect", noted]).exit_code == 0
    other = runner.invoke(args=[*verify, "--expect", f"2:{'0' * 64}"])
    assert other.exit_code == 1
    assert "does not stand any more" in other.output
    exported = runner.invoke(args=["audit", "export", "sonnenschein"]).output.splitlines()
    assert len(exported) == 3, "its own entry is in it"
    assert '"note": "Käse"' in exported[0]
    table = runner.invoke(args=["audit", "export", "sonnenschein", "--format", "csv"]).output
    assert table.splitlines()[0] == "id,at,actor,user_id,action,subject,data,number,hash"

    second = ids(owner_engine)[1]
    as_owner(owner_engine, "UPDATE audit_entries SET action = 'x' WHERE id = :id", id=second)
    broken = runner.invoke(args=verify)
    assert broken.exit_code == 1
    assert f"changed: entry {second}, seal 2" in broken.output


def test_no_transaction_waits_for_who_pages_through_the_export(
    acting: Tenant, monkeypatch: pytest.MonkeyPatch, waiting_transactions: Callable[[], int]
) -> None:
    monkeypatch.setattr(sys.modules[exported.__module__], "STRIDE", 2)
    write(acting, "one", "two", "three")
    with as_company(acting.id):
        entries = exported()
        for number in range(3):
            assert next(entries)["id"] == number + 1
            assert waiting_transactions() == 0


def _insert_slowly(connection: Connection, tenant: Tenant) -> None:
    connection.execute(
        text("SELECT set_config('app.company_id', :id, true)"), {"id": str(tenant.id)}
    )
    connection.execute(
        text(
            "INSERT INTO audit_entries (company_id, at, actor, action, subject, data)"
            " VALUES (:id, now(), 'system', 'slow', 'x', '{}')"
        ),
        {"id": tenant.id},
    )
