"""Root's machine, an ordinary user's demo: in a folder of their own, and in root's."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.conftest import ROOT, STAND_IN, free_port
from webapp.embedded.account import Account

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else"),
]
NOBODY = Account("nobody", 65534, 65534, {"user": 65534, "group": 65534, "extra_groups": []})


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A folder everybody can enter."""
    with tempfile.TemporaryDirectory(prefix="lockstep shared ") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def python(shared: Path) -> Path:
    """A Python that an ordinary user can run: ours, or a copy of it."""
    packages = Path(sysconfig.get_path("purelib"))
    if not NOBODY.reaches(ROOT / "webapp", packages):
        pytest.skip("an ordinary user can't reach this clone")
    ours = Path(sys.executable)
    if NOBODY.reaches(ours):
        return ours
    standard = Path(sysconfig.get_path("stdlib"))
    heavy = shutil.ignore_patterns("site-packages", "test", "idlelib", "tkinter", "config-*")
    shutil.copytree(standard, shared / "lib" / standard.name, ignore=heavy)
    if library := sysconfig.get_config_var("INSTSONAME"):
        shutil.copy(Path(sysconfig.get_config_var("LIBDIR")) / library, shared / "lib")
    (shared / "bin").mkdir()
    copied = Path(shutil.copy(ours.resolve(), shared / "bin"))
    if subprocess.run([copied, "-c", "import ssl"], env=_libraries(copied)).returncode != 0:
        pytest.skip("this Python works only where it was installed")
    return copied


@pytest.fixture
def home(shared: Path) -> Path:
    home = Path(tempfile.mkdtemp(prefix="of nobody ", dir=shared))
    os.chown(home, NOBODY.uid, NOBODY.gid)
    return home


def start(python: Path, folder: Path, account: Account) -> subprocess.Popen[str]:
    packages = sysconfig.get_path("purelib")
    return subprocess.Popen(
        [python, str(STAND_IN)],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": f"{ROOT}:{packages}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "DEMO_DIR": str(folder),
            "PORT": str(free_port()),
            **_libraries(python),
        },
        cwd="/",
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **account.popen,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> str:
    process.send_signal(number)
    return process.communicate(timeout=20)[1]


def test_an_ordinary_user_can_run_it_too(python: Path, home: Path) -> None:
    process = start(python, home / "demo", NOBODY)
    assert first_line(process).startswith("Lockstep is ready"), end(process)
    assert {path.stat().st_uid for path in (home / "demo").rglob("*")} == {NOBODY.uid}
    assert "Everything has stopped." in end(process)


@pytest.mark.long
def test_so_they_can_after_a_kill(python: Path, home: Path) -> None:
    first = start(python, home / "demo", NOBODY)
    first_line(first)
    first.kill()
    second = start(python, home / "demo", NOBODY)
    assert first_line(second).startswith("Lockstep is ready"), end(second)
    end(second)
    first.communicate()


@pytest.mark.long
def test_roots_data_is_refused_with_the_cure_and_root_is_not_disturbed(
    python: Path, home: Path
) -> None:
    process = start(python, home / "demo", Account("root", 0, 0, {}))
    assert first_line(process).startswith("Lockstep is ready"), end(process)
    guest = start(python, home / "demo", NOBODY)
    said, told = guest.communicate(timeout=20)
    assert (guest.returncode, said) == (1, "")
    assert "belongs to root, and this is nobody" in told
    assert "Everything has stopped." in end(process)


def _libraries(python: Path) -> dict[str, str]:
    return {"LD_LIBRARY_PATH": str(python.parents[1] / "lib")}
