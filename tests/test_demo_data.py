"""The sample data's seed throws away its own half-told story and nothing else."""

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import make_company
from webapp.demo.cast import TROUPES
from webapp.demo.completion import ForeignDataError, clear_away


def slugs(owner_engine: Engine) -> list[str]:
    with owner_engine.connect() as connection:
        return list(connection.scalars(text("SELECT slug FROM companies")))


def test_a_company_that_merely_has_the_name_of_the_demos_is_left_alone(
    engine: Flask, owner_engine: Engine
) -> None:
    make_company(TROUPES[0].slug)
    with pytest.raises(ForeignDataError):
        clear_away(lambda _said: None)
    assert slugs(owner_engine) == [TROUPES[0].slug]


def test_an_interrupted_seed_is_thrown_away(engine: Flask, owner_engine: Engine) -> None:
    make_company(TROUPES[0].slug)
    with owner_engine.begin() as connection:
        connection.execute(
            text("UPDATE companies SET webhook_token = :token"),
            {"token": TROUPES[0].webhook_token},
        )
    clear_away(lambda _said: None)
    assert slugs(owner_engine) == []
