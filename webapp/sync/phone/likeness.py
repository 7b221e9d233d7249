"""Whether two spoken names mean the same: what a voice agent hears is spelled its own way."""

import re
import unicodedata
from difflib import SequenceMatcher

from webapp.models.base import fold

_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "ı": "i"})
_TITLES = frozenset(
    {"herr", "herrn", "frau", "dr", "prof", "doktor", "professor"} | {"mr", "mrs", "ms", "miss"}
)
ALIKE = 0.78
"""From here on two spellings are one word misheard: `Behandlung`, `Behandlungen`, `Behantlung`."""


def words(text: str) -> tuple[str, ...]:
    """The words without case, accents and punctuation, umlauts spelled out."""
    spelled = unicodedata.normalize("NFC", fold(text)).translate(_SPELLED_OUT)
    bare = "".join(
        c for c in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(c)
    )
    return tuple(re.findall(r"[^\W_]+", bare))


def is_same_person(said: str, on_file: str) -> bool:
    """`Frau Müller` and `Lena Mueller` may be one; `Max Müller` and `Lena Müller` are not."""
    heard, known = set(words(said)) - _TITLES, set(words(on_file)) - _TITLES
    return bool(heard and known) and (heard <= known or known <= heard)


def is_inside(one: str, other: str) -> bool:
    """Whether all words of one are words of the other, whichever is longer."""
    a, b = set(words(one)), set(words(other))
    return bool(a and b) and (a <= b or b <= a)


def likeness(one: str, other: str) -> float:
    """0 to 1, by letters."""
    return SequenceMatcher(None, " ".join(words(one)), " ".join(words(other))).ratio()
