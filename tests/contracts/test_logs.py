"""Event names in the logs are stable and documented (S10)."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.contracts.source import modules

DOCUMENT = Path(__file__).parents[2] / "docs" / "logs.md"
LEVELS = {"debug", "info", "warning", "error", "exception"}


def events() -> Iterator[tuple[str, str]]:
    """Where something is logged, and its name; of one that is put together, the parts."""
    for module in modules():
        for node in ast.walk(ast.parse(module.text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in LEVELS and "log" in ast.unparse(node.func.value) and node.args:
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield f"{module.path}:{node.lineno}", part.value


def test_every_event_stands_in_the_documentation() -> None:
    text = DOCUMENT.read_text()
    found = list(events())
    missing = [f"{where} {name}" for where, name in found if name not in text]
    assert len(found) > 30
    assert not missing, f"name them in docs/logs.md: {missing}"
