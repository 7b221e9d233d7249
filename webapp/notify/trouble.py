"""Why a message could not leave."""


class ChannelTrouble(Exception):
    """A mail server or chat service didn't take a message.

    `code` is stable; `detail` holds no address and no token; `is_final`: trying again is no use.
    """

    def __init__(self, code: str, detail: str, *, is_final: bool) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.is_final = is_final
