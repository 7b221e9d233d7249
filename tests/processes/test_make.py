"""`make` above the demo: whatever reaches it, everything stops."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.processes.conftest import ROOT, STAND_IN, Demo, Start

pytestmark = pytest.mark.processes
PYTHON = """#!/bin/sh
case "$1" in
  -c) exec "{python}" -c "import sys; sys.version_info = (3, {minor}); exec(sys.argv[1])" "$2";;
  --version) echo "Python 3.{minor}";;
  *) mkdir -p .venv;;
esac
"""
"""One that claims to be a certain version, and makes a bare folder of a virtual environment."""
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The Makefile in a folder with a space, with a ready virtual environment."""
    clone = tmp_path / "my clone"
    (clone / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", clone)
    shutil.copytree(ROOT / "locks", clone / "locks")
    python = clone / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for stamp in ("made", "demo.stamp", "dev.stamp"):
        (clone / ".venv" / stamp).touch()
    return clone


@pytest.fixture
def made(clone: Path, start_demo: Start) -> Demo:
    shutil.copy(STAND_IN, clone / "stand_in.py")
    demo = start_demo(
        command=["make", "demo", "SUPERVISOR=.venv/bin/python stand_in.py"], cwd=clone
    )
    assert demo.wait_until_ready().startswith("Lockstep is ready: ")
    return demo


def test_a_sigterm_to_make_stops_everything(made: Demo) -> None:
    made.process.terminate()
    made.wait()
    assert made.everything_is_gone()


@pytest.mark.long
@on_linux
def test_a_sigint_to_make_alone_stops_everything(made: Demo) -> None:
    made.process.send_signal(signal.SIGINT)
    made.wait()
    assert made.everything_is_gone()


def test_ctrl_c_stops_everything(made: Demo) -> None:
    os.killpg(made.process.pid, signal.SIGINT)
    made.wait()
    assert made.everything_is_gone()


@pytest.mark.long
def test_a_killed_make_takes_everything_along(made: Demo) -> None:
    made.process.kill()
    assert made.everything_is_gone(12)


@pytest.mark.long
def test_no_shell_stands_between_make_and_the_demo(made: Demo) -> None:
    (child,) = psutil.Process(made.process.pid).children()
    assert "stand_in.py" in " ".join(child.cmdline())


def test_help_lists_every_target(clone: Path) -> None:
    told = _make(clone)
    targets = [
        line.split(":")[0]
        for line in (ROOT / "Makefile").read_text().splitlines()
        if line[:1].isalpha() and ":" in line and ":=" not in line
    ]
    assert "demo-reset" in targets
    assert [target for target in targets if f"  {target} " not in told] == []


def test_check_does_each_thing_once(clone: Path) -> None:
    plan = _make(clone, "--dry-run", "check", CI="true")
    for word in ("ruff format --check", "ruff check", "mypy", "djlint"):
        assert plan.count(f"-m {word}") == 1
    runs = [line.split(" -m ")[-1].strip() for line in plan.splitlines() if "-m pytest" in line]
    assert runs == ['"not long"', "long"], "each test once"


def test_what_is_installed_is_not_installed_again_until_the_lock_changes(clone: Path) -> None:
    assert "pip install" not in _make(clone, "--dry-run", "demo")
    newer = (clone / ".venv" / "demo.stamp").stat().st_mtime + 10
    os.utime(clone / "locks" / "demo.txt", (newer, newer))
    plan = _make(clone, "--dry-run", "demo")
    assert plan.count("pip install --require-hashes") == 1
    assert "locks/dev.txt" not in plan


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_what_another_user_made_is_left_alone(clone: Path) -> None:
    os.chown(clone / ".venv", 65534, -1)
    assert ".venv-0/bin/python -m webapp.supervisor" in _make(clone, "--dry-run", "demo")


def test_a_virtual_environment_whose_python_has_gone_is_made_anew(clone: Path) -> None:
    (clone / ".venv" / "bin" / "python").write_text("#!/no/such/python\n")
    assert "Making .venv" in _make(clone, "--dry-run", "demo")


@pytest.mark.parametrize(("minor", "is_taken"), [(10, False), (13, True), (14, False)])
def test_only_a_python_that_the_lock_is_for_is_taken(
    clone: Path, tmp_path: Path, minor: int, is_taken: bool
) -> None:
    """With another one the installation would end in the middle, in words of pip's."""
    shutil.rmtree(clone / ".venv")
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        python = tmp_path / name
        python.write_text(PYTHON.format(python=sys.executable, minor=minor))
        python.chmod(0o755)
    made = subprocess.run(
        ["make", "-C", str(clone), ".venv/made"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": "/"},
        capture_output=True,
        text=True,
    )
    assert (made.returncode == 0) is is_taken
    said = "Making .venv with Python 3.13" if is_taken else "needs Python 3.11, 3.12 or 3.13"
    assert said in made.stderr


def test_a_command_while_the_demo_is_not_running_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "environment").write_text("DATABASE_URL=postgresql://app@127.0.0.1:1/lockstep\n")
    result = subprocess.run(
        [sys.executable, "-m", "webapp.supervisor", "with", "true"],
        env={"PATH": os.environ["PATH"], "DEMO_DIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "the demo isn't running: start it with make demo" in result.stderr
    assert "Traceback" not in result.stderr


def _make(clone: Path, *words: str, **environment: str) -> str:
    settings = {"PATH": os.environ["PATH"], "HOME": "/", **environment}
    command = ["make", "-C", str(clone), *words]
    result = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    return result.stdout
