"""Why a message could not leave, and what it is told about."""


class ChannelTrouble(Exception):
    """A mail server or chat service didn't take a message.

    `code` is stable; `detail` holds no address and no token; `is_final`: trying again is no use.
    """

    def __init__(self, code: str, detail: str, *, is_final: bool) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.is_final = is_final


def subjects_of(user_id: int | None, channel_id: int | None) -> list[str]:
    """What the items are about that tell of a recipient's trouble: the chat channel; or the
    person's own mailbox first, then the mail server, which is everybody's."""
    return [f"channel:{channel_id}"] if channel_id is not None else [f"mail:{user_id}", "mail"]
