"""Make people and set their passwords. Asked first, then looked up: a transaction doesn't wait for
somebody who types."""

import click
from flask.cli import AppGroup

from webapp import clock
from webapp.cli.asking import acting_for, ask, refusing_politely
from webapp.extensions import db
from webapp.models.company import Company
from webapp.models.crossing import find_login
from webapp.models.tenancy import as_company, require_company_id
from webapp.models.user import Role, User
from webapp.sync.onboarding import create_user, set_password

user = AppGroup("user", help="Make people and set their passwords.")


@user.command("create")
@click.argument("slug")
@click.argument("email")
@click.option("--name", required=True)
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.ADMIN.value)
@click.option("--locale", type=click.Choice(["de", "en"]), help="default: the company's")
def create_user_command(slug: str, email: str, name: str, role: str, locale: str | None) -> None:
    """Make a person of company SLUG; the password comes from standard input."""
    with acting_for(slug), refusing_politely():
        password = ask("Password")
        row = create_user(
            db.session(),
            email=email,
            name=name,
            role=Role(role),
            locale=locale or db.session.get_one(Company, require_company_id()).locale,
            password=password,
            now=clock.now(),
        )
        db.session.commit()
        click.echo(f"{row.email}: {row.role.value} of {slug}")


@user.command("password")
@click.argument("email")
def set_password_command(email: str) -> None:
    """Set a person's password, from standard input; ends their sessions."""
    login = find_login(db.session(), email)
    db.session.rollback()
    if login is None:
        raise click.ClickException(f"nobody logs in as {email}")
    with as_company(login.company_id), refusing_politely():
        password = ask("Password")
        person = db.session.get_one(User, (login.company_id, login.user_id))
        set_password(db.session(), person, password, now=clock.now())
        db.session.commit()
    click.echo(f"{email}: password set, sessions ended")
