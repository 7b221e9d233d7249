"""What the person at the keyboard is told: the announcement on standard output, the rest aside."""

import os
import sys
from collections.abc import Sequence


def say(text: str) -> None:
    """Progress or trouble, on standard error."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        _go_quiet(sys.stderr.fileno())


def announce(lines: Sequence[str]) -> None:
    """What may be read by a program too, on standard output."""
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except OSError:
        _go_quiet(sys.stdout.fileno())


def _go_quiet(descriptor: int) -> None:
    """Nobody reads any more (`make demo | head -1`): no reason to stop."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
