"""The code's own text, for rules about it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Module:
    """A Python file of ours; `name` is dotted, `path` relative to the repository."""

    name: str
    path: Path

    @property
    def room(self) -> str:
        """`sync` for webapp.sync.push, `application` for webapp.application."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else parts[0]

    def text(self) -> str:
        return (ROOT / self.path).read_text()

    def imports(self) -> Iterator[tuple[int, str]]:
        """`(line, dotted name)` of everything imported, wherever it stands."""
        for node in ast.walk(ast.parse(self.text())):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def modules() -> list[Module]:
    found = [ROOT / "worker.py", *(ROOT / "webapp").rglob("*.py")]
    return [_module(path.relative_to(ROOT)) for path in sorted(found)]


def _module(path: Path) -> Module:
    parts = list(path.with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return Module(".".join(parts), path)
