"""The secrets at rest: sealing them with the newest key."""

import click
from flask.cli import AppGroup

from webapp import clock
from webapp.application import vault
from webapp.cli.asking import each_company
from webapp.extensions import db
from webapp.models.company import Company
from webapp.models.vault import VaultError
from webapp.sync.resealing import reseal_secrets

secrets = AppGroup("secrets", help="The secrets at rest.")


@secrets.command("reseal")
@click.argument("slug", required=False)
def reseal_command(slug: str | None) -> None:
    """Seal every company's secrets with the first of ENCRYPTION_KEYS. Exits 1 where one can't be
    opened; the others are resealed all the same."""
    is_whole = True
    for company_id in each_company(slug):
        name = db.session.get_one(Company, company_id).slug
        try:
            number = reseal_secrets(db.session(), vault(), now=clock.now())
        except VaultError as error:
            db.session.rollback()
            click.echo(f"{name}: can't be opened: {error}", err=True)
            is_whole = False
        else:
            db.session.commit()
            click.echo(f"{name}: {number} resealed")
    raise SystemExit(0 if is_whole else 1)
