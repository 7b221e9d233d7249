"""Which room may use which: arrows run one way, and some things stay in their rooms."""

import re

import pytest

from tests.contracts.source import Module, modules

ROOT_MODULES = {"application", "clock", "extensions", "logs", "settings"}
MAY_USE = {
    "models": {"models", "extensions"},
    "calcom": {"calcom"},
    "notify": {"models", "calcom", "notify"},
    "insight": {"models", "insight"},
    "sync": {"models", "calcom", "notify", "sync"},
    "jobs": {"models", "calcom", "notify", "insight", "sync", "jobs", *ROOT_MODULES},
    "views": {"models", "calcom", "notify", "insight", "sync", "jobs", "views", *ROOT_MODULES},
    "sandbox": {"sandbox"},
    "embedded": {"embedded"},
    "supervisor": {"supervisor", "embedded"},
    "extensions": set(),
    "settings": set(),
    "clock": set(),
    "logs": set(),
}
PACKAGES_AT_HOME = {
    "httpx": {"calcom", "sandbox"},
    "httpcore": {"calcom"},
    "rq": {"jobs", "worker"},
    "apispec": {"views.api"},
    "rq_scheduler": {"jobs"},
    "apprise": {"notify"},
    "prometheus_client": {"views.metrics"},
    "smtplib": {"notify"},
    "flask": {"application", "cli", "views", "models.walls", "sandbox", "demo", "worker", "webapp"},
}


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_a_module_uses_only_the_rooms_its_own_may_use(module: Module) -> None:
    allowed = MAY_USE.get(module.room)
    if allowed is None:
        return
    wrong = [
        f"{module.path}:{line} imports {name}"
        for line, name in module.imports()
        if name.startswith("webapp.") and name.split(".")[1] not in allowed
    ]
    assert not wrong, f"move it, or turn the arrow round (HOUSE rooms): {wrong}"


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_a_package_with_a_home_is_used_only_there(module: Module) -> None:
    wrong = [
        f"{module.path}:{line} imports {name}"
        for line, name in module.imports()
        for package, homes in PACKAGES_AT_HOME.items()
        if name.split(".")[0] == package and not _is_in(module, homes)
    ]
    assert not wrong, wrong


def _is_in(module: Module, homes: set[str]) -> bool:
    name = module.name.removeprefix("webapp.")
    return any(name == home or name.startswith(f"{home}.") for home in homes)


def test_the_environment_is_read_by_settings_and_the_demos_supervisor_only() -> None:
    wrong = [
        str(module.path)
        for module in modules()
        if re.search(r"os\.(environ|getenv)", module.text())
        and module.room not in {"settings", "supervisor"}
    ]
    assert not wrong, f"read it through webapp.settings: {wrong}"


def test_htmx_headers_are_spoken_in_one_module() -> None:
    wrong = [
        str(module.path)
        for module in modules()
        if re.search(r"""["']HX-""", module.text()) and module.name != "webapp.views.htmx"
    ]
    assert not wrong, f"use a function of webapp.views.htmx: {wrong}"


def test_the_present_comes_from_the_clock_in_everything_that_decides() -> None:
    wrong = [
        str(module.path)
        for module in modules()
        if module.room in {"models", "sync", "notify", "insight", "calcom"}
        and re.search(r"datetime\.(now|utcnow|today)\(", module.text())
    ]
    assert not wrong, f"take `now` as a parameter: {wrong}"


def test_only_the_outermost_callers_commit() -> None:
    wrong = [
        str(module.path)
        for module in modules()
        if module.room in {"models", "sync", "notify", "insight"}
        and re.search(r"\.commit\(\)", module.text())
    ]
    assert not wrong, f"let the view, job or command commit: {wrong}"


def test_only_crossings_look_across_companies() -> None:
    """Heartbeats belong to no company: there is nothing of anybody's to see in them."""
    may = {"webapp.models.crossing", "webapp.models.tenancy", "webapp.models.heartbeat"}
    wrong = [
        str(module.path)
        for module in modules()
        if re.search(r"\bACROSS\b|across_companies", module.text()) and module.name not in may
    ]
    assert not wrong, f"name it in webapp.models.crossing, as a function of the database: {wrong}"


def test_nothing_goes_round_the_session_and_its_guard() -> None:
    """Health and the start ask no table of a company, the pulse holds a lock, the webhook's door
    names its company in the one statement it makes, and the demo empties its own database."""
    may = {
        "application",
        "jobs.pulse",
        "views.health",
        "models.door",
        "demo.completion",
        "jobs.doctor.house",
    }
    round_it = r"\bcreate_engine\(|\bengine\.(connect|begin)\(|\.connection\(\)"
    wrong = [
        str(module.path)
        for module in modules()
        if re.search(round_it, module.text()) and not _is_in(module, may)
    ]
    assert not wrong, f"use db.session, which knows whom it acts for: {wrong}"
