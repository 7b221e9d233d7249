"""Whatever is written into the audit log is said in words on its page."""

import ast
from collections.abc import Iterator

from tests.contracts.source import modules
from webapp.views.audit_words import ACTS

WRITERS = {"record_audit", "record_audit_unless_since", "_audit"}


def actions() -> Iterator[tuple[str, str]]:
    """Where an entry is written, and its action, where that is spelled out there."""
    for module in modules():
        for node in ast.walk(ast.parse(module.text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in WRITERS:
                words = [each.value for each in node.args[:2] if isinstance(each, ast.Constant)]
                yield from ((f"{module.path}:{node.lineno}", str(word)) for word in words[:1])


def test_every_action_has_its_words() -> None:
    found = list(actions())
    missing = [f"{where} {action}" for where, action in found if action not in ACTS]
    assert len(found) > 30
    assert not missing, f"name them in webapp/views/audit_words.py: {missing}"
