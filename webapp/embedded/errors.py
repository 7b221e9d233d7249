"""What a start can fail with."""


class EmbeddedError(RuntimeError):
    """Expected trouble, worded for the person at the keyboard, with the cure."""
