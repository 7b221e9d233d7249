"""Which event explains how the sides stand: a row for each, and what must hold for all."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.sync.reconcile import Mover, StatusClass, View, differences
from webapp.sync.verdict import ABSENT_THERE, AGREEING, Branch, Verdict, decide

TEN = datetime(2026, 3, 2, 10, tzinfo=UTC)
ELEVEN, TWELVE = TEN + timedelta(hours=1), TEN + timedelta(hours=2)
ACCEPTED, PENDING, CANCELLED = StatusClass.ACCEPTED, StatusClass.PENDING, StatusClass.CANCELLED
NOTHING = View(None, None)


def at(starts_at: datetime, status: StatusClass | None = ACCEPTED, **more: bool) -> View:
    return View(starts_at, status, starts_at + timedelta(minutes=30), **more)


# branch: ours, theirs, base, who moved
CASES: dict[str, tuple[Branch, View | None, View | None, View, Mover | None]] = {
    "the same": (Branch.AGREED, at(TEN), at(TEN), at(TEN), None),
    "the same, and never compared before": (Branch.AGREED, at(TEN), at(TEN), NOTHING, None),
    "both moved to the same time": (Branch.AGREED, at(ELEVEN), at(ELEVEN), at(TEN), None),
    "cancelled on both": (
        Branch.CANCELLED_ON_BOTH,
        at(TEN, CANCELLED),
        at(ELEVEN, CANCELLED),
        at(TEN),
        None,
    ),
    "gone on both": (Branch.GONE_ON_BOTH, at(TEN, CANCELLED), None, at(TEN), None),
    "a status we don't know": (Branch.SAYS_NOTHING, at(TEN), at(TEN, None), at(TEN), None),
    "an unknown status, moved": (
        Branch.MOVED_THERE,
        at(TEN),
        at(ELEVEN, None),
        at(TEN),
        Mover.THEIRS,
    ),
    "moved there": (Branch.MOVED_THERE, at(TEN), at(ELEVEN), at(TEN), Mover.THEIRS),
    "moved here": (Branch.MOVED_HERE, at(ELEVEN), at(TEN), at(TEN), Mover.OURS),
    "moved on both": (Branch.MOVED_ON_BOTH, at(ELEVEN), at(TWELVE), at(TEN), Mover.BOTH),
    "cancelled there": (
        Branch.CANCELLED_THERE,
        at(TEN),
        at(TEN, CANCELLED),
        at(TEN),
        Mover.THEIRS,
    ),
    "moved here, cancelled there": (
        Branch.CANCELLED_THERE,
        at(ELEVEN),
        at(TEN, CANCELLED),
        at(TEN),
        Mover.BOTH,
    ),
    "rejected there": (
        Branch.REJECTED_THERE,
        at(TEN, PENDING),
        at(TEN, CANCELLED, is_rejected=True),
        at(TEN, PENDING),
        Mover.THEIRS,
    ),
    "cancelled here": (Branch.CANCELLED_HERE, at(TEN, CANCELLED), at(TEN), at(TEN), Mover.OURS),
    "revived there": (
        Branch.REVIVED_THERE,
        at(TEN, CANCELLED),
        at(TEN),
        at(TEN, CANCELLED),
        Mover.THEIRS,
    ),
    "revived here": (
        Branch.REVIVED_HERE,
        at(TEN),
        at(TEN, CANCELLED),
        at(TEN, CANCELLED),
        Mover.OURS,
    ),
    "confirmed there": (
        Branch.CONFIRMED_THERE,
        at(TEN, PENDING),
        at(TEN),
        at(TEN, PENDING),
        Mover.THEIRS,
    ),
    "unconfirmed there": (
        Branch.UNCONFIRMED_THERE,
        at(TEN),
        at(TEN, PENDING),
        at(TEN),
        Mover.THEIRS,
    ),
    "confirmed here": (
        Branch.CONFIRMED_HERE,
        at(TEN),
        at(TEN, PENDING),
        at(TEN, PENDING),
        Mover.OURS,
    ),
    "unconfirmed here": (
        Branch.UNCONFIRMED_HERE,
        at(TEN, PENDING),
        at(TEN),
        at(TEN),
        Mover.OURS,
    ),
    "never agreed": (Branch.NEVER_AGREED, at(TEN), at(ELEVEN), NOTHING, Mover.UNKNOWN),
    "vanished there": (Branch.VANISHED_THERE, at(TEN), None, at(TEN), None),
    "never arrived": (Branch.NEVER_ARRIVED, at(TEN), None, NOTHING, None),
    "only there": (Branch.ONLY_THERE, None, at(TEN), NOTHING, None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_event_has_its_branch_and_its_mover(
    case: tuple[Branch, View | None, View | None, View, Mover | None],
) -> None:
    branch, ours, theirs, base, mover = case
    verdict = decide(ours, theirs, base)
    assert (verdict.branch, verdict.mover) == (branch, mover)


def test_every_branch_has_a_case() -> None:
    assert {branch for branch, *_ in CASES.values()} == set(Branch)


def test_another_length_is_the_services_drift_and_no_difference() -> None:
    longer = View(TEN, ACCEPTED, TEN + timedelta(minutes=45))
    verdict = decide(at(TEN), longer, at(TEN))
    assert (verdict.agrees, verdict.has_other_length) == (True, True)
    assert not decide(at(ELEVEN), at(ELEVEN), at(TEN)).has_other_length


starts = st.sampled_from([TEN, ELEVEN, TWELVE])
classes = st.sampled_from(StatusClass)
known = st.builds(at, starts, classes)
silent = st.builds(at, starts, st.none())
bases = st.one_of(known, st.just(NOTHING))
sides = st.one_of(known, silent, st.none())


@given(ours=st.one_of(known, st.none()), theirs=sides, base=bases)
def test_a_verdict_is_one_thing_only(ours: View | None, theirs: View | None, base: View) -> None:
    if ours is None and theirs is None:
        return
    verdict = decide(ours, theirs, base)
    kinds = [verdict.agrees, verdict.is_mismatch, verdict.is_absence]
    kinds.append(verdict.branch in (Branch.SAYS_NOTHING, Branch.ONLY_THERE))
    assert sum(kinds) == 1
    assert verdict.is_mismatch == (verdict.mover is not None)


@given(ours=known, theirs=st.one_of(known, silent), base=bases)
def test_agreement_is_the_absence_of_differences(ours: View, theirs: View, base: View) -> None:
    verdict = decide(ours, theirs, base)
    assert verdict.is_mismatch == bool(differences(ours, theirs, base))
    if verdict.agrees:
        assert not verdict.differences


@given(ours=known, base=bases, starts_at=starts)
def test_a_silent_status_alone_is_never_flagged(
    ours: View, base: View, starts_at: datetime
) -> None:
    verdict = decide(ours, at(ours.starts_at or starts_at, None), base)
    assert verdict.branch is Branch.SAYS_NOTHING
    assert verdict == Verdict(Branch.SAYS_NOTHING)


@given(ours=known, theirs=known, base=known)
def test_turning_the_sides_turns_the_mover(ours: View, theirs: View, base: View) -> None:
    turned = {Mover.OURS: Mover.THEIRS, Mover.THEIRS: Mover.OURS}
    one, other = decide(ours, theirs, base).mover, decide(theirs, ours, base).mover
    assert (turned.get(one, one) if one else None) == other


@given(ours=known, base=bases)
def test_only_what_nobody_comes_to_may_be_absent_in_peace(ours: View, base: View) -> None:
    verdict = decide(ours, None, base)
    assert verdict.agrees == (ours.status is CANCELLED)
    assert (verdict.branch in ABSENT_THERE) == (verdict.branch not in AGREEING)
