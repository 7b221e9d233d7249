"""Sealing a company's secrets with the newest key, so that an older one can be given up (S12.5)."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.audit import Actor, record_audit
from webapp.models.chat_channel import ChatChannel
from webapp.models.company import Company, Secret
from webapp.models.tenancy import require_company_id
from webapp.models.vault import Vault


def reseal_secrets(session: Session, vault: Vault, *, now: datetime) -> int:
    """Reseal what is sealed with another key than the first; returns how many.

    Raises VaultError where one can't be opened: then nothing of the company is changed.
    """
    company = session.get_one(Company, require_company_id(), with_for_update=True)
    number = 0
    for which in Secret:
        if _is_old(getattr(company, which.value), vault):
            company.set_secret(which, company.secret(which, vault), vault)
            number += 1
    channels = select(ChatChannel).where(ChatChannel.company_id == require_company_id())
    for channel in session.scalars(channels.with_for_update()):
        if _is_old(channel.address, vault):
            channel.set_address(channel.open_address(vault), vault)
            number += 1
    if number:
        subject = f"company:{company.id}"
        record_audit(
            session, "secrets.resealed", subject, at=now, actor=Actor.OPERATOR, secrets=number
        )
    return number


def _is_old(sealed: str | None, vault: Vault) -> bool:
    return bool(sealed) and not vault.is_current(sealed or "")
