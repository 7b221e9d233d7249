"""The cast at their browsers, for rules about every page and route."""

from tests.views.conftest import (
    at_admin,
    at_manager,
    at_staff,
    at_stranger,
    nobody,
    ours,
    theirs,
)

__all__ = ["at_admin", "at_manager", "at_staff", "at_stranger", "nobody", "ours", "theirs"]
