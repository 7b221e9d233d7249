"""How commands show rows: aligned columns for people, JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click


def json_option(command: Any) -> Any:
    """`--json`, given to the command as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="JSON instead of a table")(command)


def show_rows(
    rows: Sequence[Mapping[str, object]], *, as_json: bool, nothing: str = "nothing"
) -> None:
    """Print rows of one shape; `nothing` is what people read where there are none."""
    if as_json:
        click.echo(json.dumps([dict(row) for row in rows], default=_as_json, ensure_ascii=False))
        return
    if not rows:
        click.echo(nothing)
        return
    names = list(rows[0])
    lines = [names, *([_as_word(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def show_one(row: Mapping[str, object], *, as_json: bool) -> None:
    """Print one thing, a line for each of its values."""
    if as_json:
        click.echo(json.dumps(dict(row), default=_as_json, ensure_ascii=False))
        return
    width = max(len(name) for name in row)
    for name, value in row.items():
        click.echo(f"{name.ljust(width)}  {_as_word(value)}")


def _as_word(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    return str(value)


def _as_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
