"""The German catalog is complete, compiled, and in the company's own words."""

import io
import re
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "webapp" / "translations"
GERMAN = FOLDER / "de" / "LC_MESSAGES" / "messages.po"
EXTRACT = "make translations, then translate what is empty"
COMPILE = "make translations"
KEYWORDS = {
    "_": None,
    "gettext": None,
    "_l": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
}


def _german() -> Catalog:
    with GERMAN.open("rb") as file:
        return read_po(file, locale="de")


def _extracted() -> set[str]:
    """The English texts of code and templates."""
    with (FOLDER / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(
        str(ROOT),
        method_map=methods,
        options_map=options,
        keywords=KEYWORDS,
        directory_filter=lambda path: not Path(path).name.startswith((".", "_")),
    )
    return {message[0] if isinstance(message, tuple) else message for _, _, message, _, _ in found}


def test_every_text_is_in_the_catalog_and_nothing_else() -> None:
    known = {m.id[0] if isinstance(m.id, tuple) else m.id for m in _german() if m.id}
    extracted = _extracted()
    assert extracted - known == set(), f"missing in German; run: {EXTRACT}"
    assert known - extracted == set(), f"no longer used; run: {EXTRACT}"


def test_every_text_is_translated_with_its_placeholders() -> None:
    for message in (m for m in _german() if m.id):
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(texts), f"untranslated: {message.id}"
        assert not message.fuzzy, f"fuzzy: {message.id}"
        source = message.id[-1] if isinstance(message.id, tuple) else message.id
        for translated in texts:
            assert _placeholders(translated) == _placeholders(source), message.id


def _placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)[sd]", text))


def test_the_compiled_catalog_equals_the_text() -> None:
    compiled = io.BytesIO()
    write_mo(compiled, _german())
    compiled.seek(0)
    fresh = _pairs(read_mo(compiled))
    with GERMAN.with_suffix(".mo").open("rb") as file:
        assert _pairs(read_mo(file)) == fresh, f"run: {COMPILE}"


def _pairs(catalog: Catalog) -> list[str]:
    return sorted(f"{message.id} → {message.string}" for message in catalog if message.id)


def test_the_companys_own_words_are_used() -> None:
    words = {m.id: m.string for m in _german()}
    assert words["Cancel appointment"] == "Stornieren"
    assert words["Reschedule"] == "Verschieben"
    assert words["Verify all now"] == "Jetzt alle abgleichen"
    assert words["Synchronisation is already running"] == "Synchronisation läuft bereits"
    assert words["A verification is already running."] == "Ein Abgleich läuft bereits."
    assert words["Appointments"] == "Termine"


def test_german_speaks_formally() -> None:
    informal = re.compile(r"\b([Dd]u|[Dd]ein\w*|[Dd]ich|[Dd]ir|[Ee]uch|[Ee]uer\w*)\b")
    for message in _german():
        assert not informal.search(str(message.string)), message.id


def test_templates_hold_no_text_outside_the_catalog() -> None:
    """What stands between tags and outside of expressions is not translated."""
    allowed = {"Lockstep", "Cal.com", "·", "–", "/", "#", "…", ":", ",", "· Lockstep"}
    for path in sorted((ROOT / "templates").rglob("*.html")):
        for text in _bare_texts(path.read_text()):
            assert text in allowed, f"{path.relative_to(ROOT)}: wrap {text!r} in _()"


def _bare_texts(template: str) -> list[str]:
    template = re.sub(r"{% trans.*?{% endtrans %}", "", template, flags=re.DOTALL)
    template = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", " ", template, flags=re.DOTALL)
    pieces = re.sub(r"<[^>]*>", "\n", template, flags=re.DOTALL).splitlines()
    stripped = (piece.strip() for piece in pieces)
    return [piece for piece in stripped if re.search(r"[^\W\d_]", piece)]
