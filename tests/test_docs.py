"""What the documents point at is there: every link between them, and every picture."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)|<img[^>]+src=\"([^\"]+)\"")
PICTURES = sorted((ROOT / "docs").rglob("*.png"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for match in LINK.finditer(document.read_text()):
        address = match[1] or match[2]
        if re.match(r"[a-z]+:", address):
            continue
        path, _hash, anchor = address.partition("#")
        target = (document.parent / unquote(path)).resolve() if path else document
        assert target.exists(), f"{document.name} points at {address}"
        if anchor and target.suffix == ".md":
            assert anchor in _anchors(target), f"{document.name} points at {address}"


def test_every_picture_is_shown_somewhere() -> None:
    shown = {
        (document.parent / (match[1] or match[2])).resolve()
        for document in DOCUMENTS
        for match in LINK.finditer(document.read_text())
    }
    assert set(PICTURES) <= shown


def _anchors(document: Path) -> set[str]:
    """The headings of a document, as they stand in addresses."""
    headings = re.findall(r"^#+ +(.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
