"""The guard in front of the walls: it raises where code acts for no company, or for another's."""

import pytest
from flask import Flask
from sqlalchemy import select, text

from tests.factories import Tenant, make_customer
from webapp.extensions import db
from webapp.models.customer import Customer
from webapp.models.tenancy import TenancyError, as_company, current_company_id, enter_company

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def theirs(other_company: Tenant) -> int:
    return make_customer(other_company)


def test_without_a_company_every_query_raises() -> None:
    for statement in (select(Customer), text("SELECT 1"), Customer.__table__.select()):
        with pytest.raises(TenancyError, match="no company"):
            db.session.execute(statement)
    with pytest.raises(TenancyError):
        db.session.get(Customer, (1, 1))


def test_a_row_of_another_company_is_not_there(
    engine: Flask, company: Tenant, other_company: Tenant, theirs: int
) -> None:
    with as_company(company.id):
        assert db.session.get(Customer, (other_company.id, theirs)) is None
        assert db.session.scalars(select(Customer).where(Customer.id == theirs)).all() == []


def test_the_identity_map_does_not_outlive_the_company(
    company: Tenant, other_company: Tenant, theirs: int
) -> None:
    with as_company(other_company.id):
        assert db.session.get(Customer, (other_company.id, theirs)) is not None
    with as_company(company.id):
        assert db.session.get(Customer, (other_company.id, theirs)) is None


def test_a_new_row_belongs_to_the_current_company(company: Tenant) -> None:
    customer_id = make_customer(company)
    with as_company(company.id):
        assert db.session.get_one(Customer, (company.id, customer_id)).company_id == company.id


def test_writing_a_row_of_another_company_raises_before_the_database_does(
    company: Tenant, other_company: Tenant, theirs: int
) -> None:
    with as_company(other_company.id):
        row = db.session.get_one(Customer, (other_company.id, theirs))
        db.session.expunge(row)
    with as_company(company.id):
        db.session.add(row)
        row.name = "mine now"
        with pytest.raises(TenancyError, match="another company"):
            db.session.flush()


def test_the_company_cannot_change_inside_a_transaction(
    company: Tenant, other_company: Tenant
) -> None:
    with as_company(company.id):
        db.session.scalars(select(Customer)).all()
        with pytest.raises(TenancyError, match="commit"):
            enter_company(other_company.id)
    assert current_company_id() is None


def test_uncommitted_work_is_rolled_back_when_the_company_is_left(company: Tenant) -> None:
    with as_company(company.id):
        db.session.get_one(Customer, (company.id, company.customer_id)).name = "Never"
        db.session.flush()
    with as_company(company.id):
        row = db.session.get_one(Customer, (company.id, company.customer_id))
        assert row.name != "Never"


def test_after_a_commit_the_next_transaction_is_told_the_company_again(company: Tenant) -> None:
    with as_company(company.id):
        db.session.scalars(select(Customer)).all()
        db.session.commit()
        assert db.session.scalars(select(Customer)).all() != []
