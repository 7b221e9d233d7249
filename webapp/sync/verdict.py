"""Decide: which event of the real world explains how the sides stand (S5). Pure.

`decide` gets what ours, Cal.com's and the base say; None for a side says that it has nothing. It
answers with one named branch, what differs in it and who moved. What is done about it is for
others: nothing in here writes, calls or looks at a clock.
"""

from dataclasses import dataclass
from enum import StrEnum

from webapp.sync.reconcile import (
    Difference,
    Mover,
    StatusClass,
    View,
    differences,
    is_same_start,
)


class Branch(StrEnum):
    """What happened; stable names, kept in evidence."""

    AGREED = "agreed"
    CANCELLED_ON_BOTH = "cancelled_on_both"
    GONE_ON_BOTH = "gone_on_both"
    SAYS_NOTHING = "says_nothing"
    MOVED_THERE = "moved_there"
    MOVED_HERE = "moved_here"
    MOVED_ON_BOTH = "moved_on_both"
    CANCELLED_THERE = "cancelled_there"
    REJECTED_THERE = "rejected_there"
    CANCELLED_HERE = "cancelled_here"
    REVIVED_THERE = "revived_there"
    REVIVED_HERE = "revived_here"
    CONFIRMED_THERE = "confirmed_there"
    UNCONFIRMED_THERE = "unconfirmed_there"
    CONFIRMED_HERE = "confirmed_here"
    UNCONFIRMED_HERE = "unconfirmed_here"
    NEVER_AGREED = "never_agreed"
    VANISHED_THERE = "vanished_there"
    NEVER_ARRIVED = "never_arrived"
    ONLY_THERE = "only_there"


AGREEING = frozenset({Branch.AGREED, Branch.CANCELLED_ON_BOTH, Branch.GONE_ON_BOTH})
ABSENT_THERE = frozenset({Branch.VANISHED_THERE, Branch.NEVER_ARRIVED})


@dataclass(frozen=True, slots=True)
class Verdict:
    """A branch with what differs; `has_other_length` is the service's drift, never a difference."""

    branch: Branch
    differences: tuple[Difference, ...] = ()
    has_other_length: bool = False

    @property
    def agrees(self) -> bool:
        return self.branch in AGREEING

    @property
    def is_mismatch(self) -> bool:
        return bool(self.differences)

    @property
    def is_absence(self) -> bool:
        return self.branch in ABSENT_THERE

    @property
    def mover(self) -> Mover | None:
        """Who left the base, over all differing fields; None where nothing differs."""
        movers = {each.moved for each in self.differences}
        if len(movers) > 1:
            return Mover.UNKNOWN if Mover.UNKNOWN in movers else Mover.BOTH
        return next(iter(movers), None)


def decide(ours: View | None, theirs: View | None, base: View) -> Verdict:
    """Say what happened. Ours and theirs are not both None."""
    if ours is None:
        return Verdict(Branch.ONLY_THERE)
    if theirs is None:
        return Verdict(_branch_of_absence(ours, base))
    found = tuple(differences(ours, theirs, base))
    if found:
        return Verdict(_branch_of(found, ours, theirs), found)
    if theirs.status is None:
        return Verdict(Branch.SAYS_NOTHING)
    if ours.status is StatusClass.CANCELLED:
        return Verdict(Branch.CANCELLED_ON_BOTH)
    return Verdict(Branch.AGREED, has_other_length=_has_other_length(theirs, base))


def _branch_of_absence(ours: View, base: View) -> Branch:
    if ours.status is StatusClass.CANCELLED:
        return Branch.GONE_ON_BOTH
    return Branch.NEVER_ARRIVED if base.starts_at is None else Branch.VANISHED_THERE


def _branch_of(found: tuple[Difference, ...], ours: View, theirs: View) -> Branch:
    """A change of status explains more than a change of time that came with it."""
    by_field = {each.field: each for each in found}
    status = by_field.get("status")
    mover = (status or by_field["starts_at"]).moved
    if mover is Mover.UNKNOWN:
        return Branch.NEVER_AGREED
    if status is None:
        return _MOVES[mover]
    return _branch_of_status(mover, ours, theirs)


_MOVES = {
    Mover.OURS: Branch.MOVED_HERE,
    Mover.THEIRS: Branch.MOVED_THERE,
    Mover.BOTH: Branch.MOVED_ON_BOTH,
}


def _branch_of_status(mover: Mover, ours: View, theirs: View) -> Branch:
    """Both left the base: the one who cancelled is named first, then the one who confirmed."""
    there, here = theirs.status, ours.status
    if there is StatusClass.CANCELLED:
        if mover is Mover.OURS:
            return Branch.REVIVED_HERE
        return Branch.REJECTED_THERE if theirs.is_rejected else Branch.CANCELLED_THERE
    if here is StatusClass.CANCELLED:
        return Branch.REVIVED_THERE if mover is Mover.THEIRS else Branch.CANCELLED_HERE
    if there is StatusClass.ACCEPTED:
        return Branch.UNCONFIRMED_HERE if mover is Mover.OURS else Branch.CONFIRMED_THERE
    return Branch.CONFIRMED_HERE if mover is Mover.OURS else Branch.UNCONFIRMED_THERE


def _has_other_length(theirs: View, base: View) -> bool:
    """Cal.com sets the end from its event type; only against the base does it tell anything."""
    if theirs.ends_at is None or base.ends_at is None:
        return False
    same_start = is_same_start(theirs.starts_at, base.starts_at)
    return same_start and not is_same_start(theirs.ends_at, base.ends_at)
