"""What the guides name is there: commands with their options, settings, error codes, links."""

import re
import shlex
from pathlib import Path

import click
import pytest
from flask import Flask
from flask.cli import FlaskGroup

from webapp.settings import Settings
from webapp.views.explanations import EXPLANATIONS

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FLASK = "flask --app webapp "


def commands_of(text: str) -> list[str]:
    """What is to be typed: in blocks, and in the middle of a sentence."""
    found = re.findall(r"flask --app webapp ([^\n`#|]+)", text)
    return [each.strip() for each in found if each.strip() not in ("…", "…;")]


def resolve(app: Flask, line: str) -> str | None:
    """Why a command isn't one of ours; None where it is."""
    words = shlex.split(line)
    group: click.Command = FlaskGroup(create_app=lambda: app)
    context = click.Context(group, info_name="flask")
    context.ensure_object(type("Info", (), {"load_app": lambda _self: app}))
    while isinstance(group, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        command = app.cli.get_command(context, name) if group.name is None else None
        command = command or group.get_command(context, name)
        if command is None:
            return f"there is no '{name}'"
        group = command
    if isinstance(group, click.Group):
        return "it stops at a group"
    known = {option for each in group.params for option in [*each.opts, *each.secondary_opts]}
    unknown = [word for word in words if word.startswith("--") and word not in known]
    return f"there is no option {unknown}" if unknown else None


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_command_that_a_guide_names_is_there(migrated_app: Flask, guide: Path) -> None:
    wrong = {
        line: why
        for line in commands_of(guide.read_text())
        if (why := resolve(migrated_app, line)) is not None
    }
    assert not wrong, f"{guide.name}: {wrong}"


def test_the_guides_name_commands_at_all() -> None:
    for name, least in (("operating.md", 20), ("troubleshooting.md", 20)):
        assert len(commands_of((ROOT / "docs" / name).read_text())) >= least


def test_what_is_no_command_is_noticed(migrated_app: Flask) -> None:
    assert resolve(migrated_app, "doctor --json") is None
    assert resolve(migrated_app, "db upgrade") is None
    assert resolve(migrated_app, "queues lisst") == "there is no 'lisst'"
    assert resolve(migrated_app, "doktor") == "there is no 'doktor'"
    assert resolve(migrated_app, "doctor --yaml") == "there is no option ['--yaml']"
    assert resolve(migrated_app, "queues") == "it stops at a group"


def test_every_command_stands_in_the_readme(migrated_app: Flask) -> None:
    table = (ROOT / "README.md").read_text()
    missing = []
    for name, command in migrated_app.cli.commands.items():
        if name in ("db", "demo"):
            continue
        children = command.commands if isinstance(command, click.Group) else {"": command}
        missing += [
            f"{name} {child}".strip()
            for child in children
            if f"`{name} {child}".strip() not in table
        ]
    assert not missing, f"README, the operator's command line: {missing}"


def test_every_error_code_stands_in_the_troubleshooting_guide() -> None:
    guide = (ROOT / "docs" / "troubleshooting.md").read_text()
    codes = guide.split("## Error codes")[1]
    missing = [code for code in EXPLANATIONS if f"`{code}`" not in codes]
    assert not missing, f"docs/troubleshooting.md, Error codes: {missing}"


def test_every_setting_that_the_guides_name_is_one() -> None:
    known = {name.upper() for name in Settings.model_fields}
    for name in ("operating.md", "troubleshooting.md"):
        text = (ROOT / "docs" / name).read_text()
        prefixes = "KEEP|CLEANING|SEALING|DATABASE|REDIS|ENCRYPTION|SMTP|MAIL|TRUSTED|PUBLIC"
        named = set(re.findall(rf"`((?:{prefixes})_[A-Z_]+)\b", text))
        assert named
        assert named - set(EXPLANATIONS) <= known, f"{name}: {named - known}"


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_link_inside_the_project_leads_somewhere(guide: Path) -> None:
    text = guide.read_text()
    for address in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, anchor = address.partition("#")
        target = (guide.parent / path).resolve() if path else guide
        assert target.exists(), f"{guide.name}: {address}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in anchors, f"{guide.name}: {address}"
    for path in re.findall(r"`((?:tests|webapp)/[\w/]+\.py)`", text):
        assert (ROOT / path).exists(), f"{guide.name}: {path}"
