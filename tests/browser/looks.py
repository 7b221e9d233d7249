"""What is wrong with a page as a browser shows it: its width, what axe finds, what it says in no
language of the reader, and what the browser itself complains of."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import axe_playwright_python
from babel.messages.pofile import read_po
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
"""WCAG 2.2 AA, as axe names its parts."""

BESIDE = ["target-size", "heading-order", "landmark-one-main", "landmark-unique", "region"]
"""Rules that are off unless named, or are only advice to others."""

THEMES = ("light", "dark")
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return null;
  const wide = [...document.querySelectorAll("body *")]
    .filter((each) => each.getBoundingClientRect().right > width + 0.5).slice(-1)[0];
  return `${document.documentElement.scrollWidth - width} px: `
    + (wide ? wide.outerHTML.slice(0, 160) : "?");
}"""
SETTLED = """async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame(); await frame();
  const moving = document.getAnimations()
    .filter((each) => each.effect.getTiming().iterations !== Infinity);
  await Promise.all(moving.map((each) => each.finished.catch(() => {})));
}"""
"""When colours that change from one look to the other have arrived."""

TEXTS = """() => {
  const found = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const aside = "code, pre, kbd, time, script, template, datalist, [translate=no],"
    + " [lang]:not(html), a[href^='#type-']";
  for (let node = walk.nextNode(); node; node = walk.nextNode())
    if (!node.parentElement.closest(aside)) found.add(node.textContent);
  for (const each of document.querySelectorAll("[aria-label], [placeholder], [title], [alt]"))
    if (!each.closest(aside))
      for (const name of ["aria-label", "placeholder", "title", "alt"])
        if (each.getAttribute(name)) found.add(each.getAttribute(name));
  found.add(document.title);
  return [...found].map((each) => each.replace(/\\s+/g, " ").trim()).filter(Boolean);
}"""


class Viewer:
    """One browser window that goes from page to page and remembers what the browser complained of.

    `complaints` are of the page that is open; `goto` begins them anew.
    """

    def __init__(self, page: Page, scene: str = "filled") -> None:
        self.page = page
        self.scene = scene
        self.language = "en"
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("response", lambda answer: self._check(answer.url, answer.status))

    def read(self, language: str) -> None:
        """Read in this language from now on."""
        self.page.request.post("/profile/language", form={"language": language})
        self.language = language

    def goto(self, path: str) -> bool:
        """Open a page; False where it is only a piece of one."""
        self.complaints.clear()
        self._open = path
        self.page.goto(path)
        return bool(self.page.evaluate("!!document.querySelector('main')"))

    def problems(self, widths: Iterable[int], *, examine: Iterable[tuple[str, int]]) -> list[str]:
        """Of the open page, in both themes at every width; axe for the themes and widths named."""
        found = []
        examined = set(examine)
        for width in widths:
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.reload()  # a script may have chosen by the width
            for theme in THEMES:
                self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
                self.page.evaluate(SETTLED)
                look = f"{self.language}, {theme}, {width} px"
                if wide := self.page.evaluate(OVERFLOW):
                    found.append(f"{look}: too wide by {wide}")
                photograph(self.page, self._open, f"{self.scene}-{width}-{theme}-{self.language}")
                if (theme, width) in examined:
                    found += [f"{look}: {each}" for each in violations(self.page)]
        shown = self.page.evaluate("document.documentElement.lang")
        if shown != self.language:
            found.append(f"says it is in {shown}, not {self.language}")
        found += [f"{self.language}: {each}" for each in self.complaints]
        return [f"{self._open} ({each})" for each in found]

    def texts(self) -> set[str]:
        """What a reader or a screen reader is told, but for codes and times."""
        return set(self.page.evaluate(TEXTS))

    def _hear(self, kind: str, said: str) -> None:
        if kind in ("error", "warning") and "status of" not in said:
            self.complaints.append(f"{kind}: {said}")

    def _check(self, url: str, status: int) -> None:
        # Pieces of pages name no icon when they are opened by themselves.
        if status >= 400 and not url.endswith((NOWHERE, "/favicon.ico")):
            self.complaints.append(f"{status} for {url}")


NOWHERE = "/nowhere"
"""An address that leads nowhere, for the look of the error page."""


def photograph(page: Page, path: str, look: str) -> None:
    """Keep a picture, in a folder of its look, where `LOOKS_FOLDER` names a place for them."""
    if folder := os.environ.get("LOOKS_FOLDER"):
        name = re.sub(r"\W+", "-", path).strip("-") or "overview"
        picture = Path(folder) / look / f"{name}.jpeg"
        picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=picture, type="jpeg", quality=60, full_page=True)


def violations(page: Page) -> Iterator[str]:
    """What axe finds against WCAG 2.2 AA: rule, element and reason."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text())
    rules = {name: {"enabled": True} for name in BESIDE}
    options: dict[str, Any] = {
        "runOnly": {"type": "tag", "values": STANDARD},
        "rules": rules,
        "resultTypes": ["violations"],
    }
    result = page.evaluate(f"axe.run(document, {json.dumps(options)})")
    for violation in result["violations"]:
        for node in violation["nodes"]:
            why = " ".join(node["failureSummary"].split())
            yield f"{violation['id']}: {node['target']} {node['html'][:200]} – {why[:300]}"


def untranslated(english: set[str], german: set[str], data: str) -> list[str]:
    """What both languages say alike though it holds words; `data` stands in what isn't ours."""
    alike = english & german
    return sorted(each for each in alike if data not in each and _has_words(each))


def _has_words(said: str) -> bool:
    bare = re.sub(r"\S*[@/#_…]\S*|\d\S*|\b[A-Z]{3,}\b", " ", said)
    for known in sorted(_alike_in_both(), key=len, reverse=True):
        bare = re.sub(rf"(?<!\w){re.escape(known)}(?!\w)", " ", bare)
    return bool(re.search(r"[^\W\d_]{3,}", bare))


@cache
def _alike_in_both() -> set[str]:
    """Texts whose German is spelt as the English, and names of languages."""
    path = ROOT / "webapp" / "translations" / "de" / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        catalog = read_po(file, locale="de")
    same = {str(m.id) for m in catalog if m.id and m.id == m.string}
    return same | {"Lockstep", "Cal.com", "English", "Deutsch", "Europe/Berlin", "min"}
