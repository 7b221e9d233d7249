"""The application object: Flask, its extensions, the screens and doors, the command line."""

import sys
from pathlib import Path
from typing import cast

from flask import Flask, current_app
from jinja2 import StrictUndefined
from sqlalchemy.exc import OperationalError
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import logs
from webapp.extensions import babel, csrf, db, limiter, login, migrate
from webapp.models.serving_role import PrivilegedRole, refuse_privileged_role
from webapp.models.vault import Vault
from webapp.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("en", "de")
FROZEN = "-c idle_in_transaction_session_timeout=20s"
"""A frozen process must not hold its locks for longer than its lease: no transaction of ours waits
for anything but the database."""
LOST = (
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    " -c tcp_user_timeout=30s"
)
"""A machine that is lost closes no connection. PostgreSQL asks whether it is there and, after half
a minute, lets go of what it held: the lead, so that another scheduler takes it."""
UNREACHABLE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""The other way round: a PostgreSQL that is gone from the net is noticed in seconds (the last one
in milliseconds), not when the kernel gives up. On a socket file none of them means anything."""


def make_app(settings: Settings | None = None) -> Flask:
    """Build an app; ends the process with a clear message when a setting is bad."""
    settings = settings or _settings_or_exit()
    logs.configure(settings.log_level, settings.log_format)
    app = Flask(
        "webapp", template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static")
    )
    app.extensions["settings"] = settings
    app.extensions["vault"] = Vault(settings.vault_keys)
    _configure(app, settings)
    _initialise(app, settings)
    _register(app)
    _refuse_privileged_role(app)
    return app


def settings() -> Settings:
    """The running app's settings."""
    return cast(Settings, current_app.extensions["settings"])


def vault() -> Vault:
    """The running app's vault."""
    return cast(Vault, current_app.extensions["vault"])


def _refuse_privileged_role(app: Flask) -> None:
    """Walls that the serving role can walk through are none: then there is no start."""
    with app.app_context():
        refuse_privileged_role(db.engine)
        try:
            db.engine.connect().close()
        except OperationalError as error:
            if isinstance(error.orig, PrivilegedRole):
                sys.exit(f"Lockstep cannot start: {error.orig}.")
            # PostgreSQL may come up after us; /readyz tells.
            logs.log("start").warning("database_away", error=type(error.orig).__name__)
        finally:
            db.engine.dispose()


def _settings_or_exit() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        sys.exit(str(error))


def _configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS={
            "pool_pre_ping": True,
            "hide_parameters": True,
            "connect_args": {
                "connect_timeout": 5,
                "options": f"-c timezone=UTC {FROZEN} {LOST}",
                **UNREACHABLE,
            },
        },
        SESSION_COOKIE_NAME="lockstep_session",
        SESSION_COOKIE_SECURE=settings.session_cookie_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        EVEN_TIME_SECONDS=0.4,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=settings.public_url.startswith("https://"),
        MAX_CONTENT_LENGTH=1_048_576,
        BABEL_DEFAULT_LOCALE="en",
        BABEL_TRANSLATION_DIRECTORIES=str(ROOT / "webapp" / "translations"),
        RATELIMIT_STORAGE_URI=settings.redis_url.replace("unix://", "redis+unix://", 1),
        RATELIMIT_STORAGE_OPTIONS={"socket_connect_timeout": 0.25, "socket_timeout": 0.25},
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
        RATELIMIT_HEADERS_ENABLED=False,
    )
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.json.sort_keys = False  # type: ignore[attr-defined]


def _initialise(app: Flask, settings: Settings) -> None:
    from webapp.views import access

    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, hops, hops, hops, hops)  # type: ignore[method-assign]
    db.init_app(app)
    with app.app_context():
        logs.keep_rows_out_of_errors(db.engine)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))
    csrf.init_app(app)
    limiter.init_app(app)
    babel.init_app(app, locale_selector=access.reader_locale, timezone_selector=access.reader_zone)
    login.init_app(app)


def _register(app: Flask) -> None:
    from webapp import cli, views

    views.register(app)
    cli.register(app)
