"""Structured logs: one JSON object a line, with request, company and job ids, without personal
data, keys or uids. Cal.com sync logs under the name `lockstep.calcom_sync` (docs/logs.md)."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, cast

import structlog
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

SYNC_LOGGER = "lockstep.calcom_sync"


def configure(level: str, log_format: str) -> None:
    """Send everything, libraries included, through one handler on standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(log_format),
            ],
        )
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if getattr(h, "lockstep", False)]:
        root.removeHandler(old)
    handler.lockstep = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "rq_scheduler.scheduler"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def sync_log() -> structlog.stdlib.BoundLogger:
    """The logger of everything that passes between us and Cal.com."""
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger(SYNC_LOGGER))


def log(name: str) -> structlog.stdlib.BoundLogger:
    """A logger of ours."""
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger(f"lockstep.{name}"))


def keep_rows_out_of_errors(engine: Engine) -> None:
    """Let what the database says of an error say nothing of the row: traces stand in the log, and
    in Redis for a week. Beside it the engine has to hide its parameters."""
    event.listen(engine, "handle_error", _shorten)


def _shorten(context: ExceptionContext) -> None:
    """PostgreSQL's first line names the rule that was broken; the next ones quote the row. Where a
    value can't be read (class 22) the first line quotes it too."""
    error, wrapped = context.original_exception, context.sqlalchemy_exception
    if wrapped is None:
        return
    is_of_a_value = str(getattr(error, "sqlstate", "")).startswith("22")
    line = "" if is_of_a_value else str(error).partition("\n")[0]
    error.args = (line,)
    wrapped.args = (f"({type(error).__module__}.{type(error).__name__}) {line}",)


def _renderers(log_format: str) -> list[structlog.typing.Processor]:
    if log_format == "console":
        # Not the default, which prints the values of all variables where `rich` is installed.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain)]
    return [structlog.processors.format_exc_info, _drop_none, structlog.processors.JSONRenderer()]


def _drop_none(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in event.items() if value is not None}
