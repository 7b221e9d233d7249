"""As whom the servers run: as ourselves or, when we are root, as somebody who may do less.

PostgreSQL refuses root. That somebody often can't enter root's folders; nobody's modes are
changed for them, a folder of their own is made where they can go.
"""

import contextlib
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webapp.embedded.errors import EmbeddedError

# Both survive a restart of the machine on the usual systems, unlike /tmp.
_SHELTERS = Path("/var/tmp")  # noqa: S108 - every name in it is checked to be root's own
_CANDIDATES = ("postgres", "_postgres", "nobody")
_PROBE = 'for path in "$@"; do test -r "$path" && test -x "$path" || exit 1; done'


@dataclass(frozen=True)
class Account:
    """Who runs a server; `popen` is for subprocess and empty when that is ourselves."""

    name: str
    uid: int
    gid: int
    popen: dict[str, Any]

    def reaches(self, *paths: Path) -> bool:
        """Whether this account can enter and read all of these folders or run these programs."""
        if not self.popen:
            return True
        command = ["/bin/sh", "-c", _PROBE, "sh", *map(str, paths)]
        try:
            return subprocess.run(command, cwd="/", **self.popen).returncode == 0
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedError(
                f"PostgreSQL refuses to run as root, and root may not become {self.name} here "
                f"({error}). Run this as an ordinary user, or set DATABASE_URL and REDIS_URL."
            ) from error

    def take(self, path: Path) -> None:
        """Hand this path to the account."""
        if self.popen:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def server_account() -> Account:
    """The account that servers started by us run as."""
    if os.geteuid() != 0:
        return Account("", os.geteuid(), os.getegid(), {})
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        popen: dict[str, Any] = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        return Account(name, entry.pw_uid, entry.pw_gid, popen)
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody."
    )


def home_for(folder: Path, account: Account) -> Path:
    """Where a server of this folder keeps its data: there, or in a shelter named after it.

    Folder and shelter remember each other. A shelter that its folder doesn't know any more is of
    a folder that was removed: its data went with it.
    """
    if not account.popen:
        return folder
    shelter = _shelter_of(folder)
    if not (folder / "shelter").exists():
        if account.reaches(folder):
            return folder
        _remove_forgotten_shelters()
        shutil.rmtree(shelter, ignore_errors=True)
    # In this order, or another start could take the shelter for a forgotten one.
    (folder / "shelter").write_text(f"{shelter}\n")
    (_checked(shelter) / "folder").write_text(str(folder), errors="surrogateescape")
    return shelter


def _shelter_of(folder: Path) -> Path:
    return _SHELTERS / f"lockstep-data-{_digest(str(folder))}"


def _remove_forgotten_shelters() -> None:
    for shelter in _SHELTERS.glob("lockstep-data-*"):
        with contextlib.suppress(OSError, EmbeddedError):
            owner = (_checked(shelter) / "folder").read_text(errors="surrogateescape")
            if not (Path(owner) / "shelter").exists():
                shutil.rmtree(shelter)


def known_shelter(folder: Path) -> Path | None:
    """The shelter this folder has elsewhere, if any."""
    has_one = os.geteuid() == 0 and (folder / "shelter").exists()
    return _checked(_shelter_of(folder)) if has_one else None


def reachable(root: Path, parts: list[str], probe: str, account: Account) -> Path:
    """`root`, or a copy of its `parts` where the account can use `probe` inside."""
    if account.reaches(root / probe, (root / probe).parent):
        return root
    facts = [f"{part} {sorted(_sizes(root, [part]).items())}" for part in parts]
    copy = _SHELTERS / f"lockstep-binaries-{_digest(repr(facts))}"
    if not _is_whole(copy, root, parts):
        _copy(root, parts, copy)
    return copy


def _is_whole(copy: Path, root: Path, parts: list[str]) -> bool:
    return copy.exists() and _sizes(_checked(copy), parts) == _sizes(root, parts)


def _copy(root: Path, parts: list[str], copy: Path) -> None:
    draft = Path(tempfile.mkdtemp(prefix="lockstep-", dir=_SHELTERS))
    try:
        for part in parts:
            (draft / part).parent.mkdir(parents=True, exist_ok=True)
            if (root / part).is_dir():
                shutil.copytree(root / part, draft / part, symlinks=True)
            else:
                shutil.copy(root / part, draft / part)
        _open_up(draft)
        # Another start may have been faster, and be using its copy.
        if not _is_whole(copy, root, parts):
            shutil.rmtree(copy, ignore_errors=True)
            draft.rename(copy)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _open_up(copy: Path) -> None:
    copy.chmod(0o755)
    for path in copy.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)


def _sizes(root: Path, parts: list[str]) -> dict[str, int]:
    files = [path for part in parts for path in (root / part, *(root / part).rglob("*"))]
    return {str(path.relative_to(root)): path.stat().st_size for path in files if path.is_file()}


def _checked(shelter: Path) -> Path:
    """The folder, made if missing; others may write beside it, so it has to be truly root's."""
    shelter.mkdir(mode=0o755, exist_ok=True)
    found = shelter.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise EmbeddedError(f"{shelter} should be a folder that only root can write. Remove it.")
    shelter.chmod(0o755)  # root's umask may have closed it
    return shelter


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
