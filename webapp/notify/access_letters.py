"""The letter with a link that lets somebody in: an invitation, or a new password."""

from flask_babel import force_locale

from webapp.models.access_link import LinkKind
from webapp.notify.letters import Letter, render_letter
from webapp.notify.words import gettext


def write_access_letter(kind: LinkKind, locale: str, company: str, *, url: str) -> Letter:
    """In the reader's language; it says nothing but what the link is for and how long it holds."""
    with force_locale(locale):
        if kind is LinkKind.INVITATION:
            subject = gettext("Your invitation to Lockstep")
            greeting = gettext("%(company)s invites you to its desk in Lockstep.", company=company)
            button = gettext("Accept the invitation")
            limit = gettext("The link works once, within seven days.")
        else:
            subject = gettext("Your new password for Lockstep")
            greeting = gettext("Somebody, perhaps you, asked for a new password.")
            button = gettext("Choose a new password")
            limit = gettext(
                "The link works once, within two hours. If it was not you, do nothing: your"
                " password stays as it is."
            )
        words = {
            "subject": subject,
            "greeting": greeting,
            "button": button,
            "url": url,
            "limit": limit,
            "company": company,
            "language": locale,
        }
        return Letter(
            subject=subject,
            text=render_letter("access.txt", words),
            html=render_letter("access.html", words),
            preferences_url=None,
        )
