"""A contact sheet of the pictures that the looks took: `python -m tests.browser.sheet FOLDER`.

One row a page, one picture a look; `index.html` in the folder, to be opened in any browser."""

import sys
from html import escape
from pathlib import Path

STYLE = """body { font: 14px sans-serif; margin: 1rem; background: #888; }
div { display: flex; gap: .5rem; overflow-x: auto; align-items: start; }
img { height: 26rem; object-fit: cover; object-position: top; background: #fff; }"""


def write_sheet(folder: Path) -> Path:
    """Lay out what is in the folder; returns the sheet."""
    looks = sorted(each.name for each in folder.iterdir() if each.is_dir())
    names = sorted({picture.name for look in looks for picture in (folder / look).glob("*.jpeg")})
    rows = [_row(folder, name, looks) for name in names]
    sheet = folder / "index.html"
    sheet.write_text(f"<!doctype html><style>{STYLE}</style>{''.join(rows)}")
    return sheet


def _row(folder: Path, name: str, looks: list[str]) -> str:
    pictures = [f"{look}/{name}" for look in looks if (folder / look / name).is_file()]
    shown = "".join(
        f'<a href="{escape(each)}"><img src="{escape(each)}" title="{escape(each)}"></a>'
        for each in pictures
    )
    return f"<h2>{escape(Path(name).stem)}</h2><div>{shown}</div>"


if __name__ == "__main__":
    sys.stdout.write(f"{write_sheet(Path(sys.argv[1]).resolve())}\n")
