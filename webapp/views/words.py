"""Flask-Babel's translation with types: the library brings none."""

import flask_babel


def gettext(text: str, **variables: object) -> str:
    """A text in the reader's language."""
    return str(flask_babel.gettext(text, **variables))
