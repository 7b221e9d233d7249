"""The words of screens: translation with types."""

from webapp.notify.words import gettext

__all__ = ["gettext"]
