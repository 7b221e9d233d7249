"""A company's chat channels: where trouble is told beside the inbox. The address is a secret."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned
from webapp.models.vault import Vault

ADDRESS = "chat_channels.address"
"""What binds the ciphertext to its place."""


class ChatChannel(Owned, Base):
    """A room of Slack, Discord, Teams and the like, or a telephone that takes short messages."""

    __tablename__ = "chat_channels"
    __table_args__ = (CheckConstraint("length(name) BETWEEN 1 AND 100", name="name_length"),)

    name: Mapped[str]
    kind: Mapped[str]
    """The service's name, for people, e.g. `Slack`."""
    address: Mapped[str]
    """Sealed; holds the service's tokens."""
    muted_types: Mapped[list[str]] = mapped_column(JSONB, default=list)
    """The types of notification that it doesn't want."""
    is_enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]

    def set_address(self, address: str, vault: Vault) -> None:
        self.address = vault.seal(address, company_id=self.company_id, column=ADDRESS)

    def open_address(self, vault: Vault) -> str:
        """Raises VaultError when it cannot be opened."""
        return vault.open(self.address, company_id=self.company_id, column=ADDRESS)
