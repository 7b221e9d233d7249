"""Flask-Babel's translation with types: the library brings none."""

import flask_babel


def gettext(text: str, **variables: object) -> str:
    """A text in the reader's language."""
    return str(flask_babel.gettext(text, **variables))


def ngettext(singular: str, plural: str, number: int, **variables: object) -> str:
    """A text about a number of things; `%(num)s` in it is the number."""
    return str(flask_babel.ngettext(singular, plural, number, **variables))
