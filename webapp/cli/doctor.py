"""Is this installation sound? And what to do where it isn't."""

from dataclasses import asdict

import click
from flask.cli import with_appcontext

from webapp.cli.tables import json_option, show_rows
from webapp.jobs.doctor import Finding, Verdict, examine

COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


@click.command("doctor")
@json_option
@with_appcontext
def doctor(as_json: bool) -> None:
    """Check settings, servers, workers, schedule and every company. Exits 1 on a failure."""
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            _say(finding)
    if as_json:
        show_rows([asdict(each) for each in findings], as_json=True)
    failures = sum(each.verdict is Verdict.FAIL for each in findings)
    if not as_json:
        click.echo(f"{failures} failures" if failures else "sound")
    raise SystemExit(1 if failures else 0)


def _say(finding: Finding) -> None:
    mark = click.style(finding.verdict.value.ljust(4), fg=COLOURS[finding.verdict])
    about = f"{finding.company}: {finding.check}" if finding.company else finding.check
    click.echo(f"{mark}  {about}: {finding.said}")
    if finding.advice:
        click.echo(f"      → {finding.advice}")
