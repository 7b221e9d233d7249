"""A demo of stand-ins, run as a script: the real supervisor and servers, small programs in between.

    python stand_in.py [--follow-make] [--fresh] [WORD …]

Words: `dying` (a worker that ends at once), `failing` (migrations fail), `mute` (the web server
never answers), `stubborn` (a worker that ignores SIGTERM).
"""

import sys
from pathlib import Path

from webapp.embedded import EmbeddedError
from webapp.supervisor.choices import Choices, read_choices
from webapp.supervisor.demo import run_demo
from webapp.supervisor.plan import Plan, Program, Step
from webapp.supervisor.saying import say
from webapp.supervisor.stopping import StopRequested, follow_make, stop_on_signals

WEB = """
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
print("web", os.getpid(), flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
# A child in a session of its own, like RQ's work horse.
WORKER = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in sys.argv else lambda *_: sys.exit(0))
horse = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
print("worker", os.getpid(), "horse", horse.pid, flush=True)
time.sleep(600)
"""
DYING = "import sys; print('out of hay', flush=True); sys.exit(3)"
FAILING = "import sys; sys.exit('column missing')"
CHECK = """
import os, psycopg, redis, sys
url = os.environ["DATABASE_URL"].replace("+psycopg", "")
assert psycopg.connect(url).execute("select current_user").fetchone() == ("lockstep_app",)
assert redis.Redis.from_url(os.environ["REDIS_URL"]).ping()
print("both answer", file=sys.stderr)
"""


def stand_in_plan(choices: Choices, words: list[str]) -> Plan:
    port = str(choices.port) if "mute" not in words else "0"
    worker = _python(DYING) if "dying" in words else _python(WORKER, *words)
    return Plan(
        before=[Step("migrations", _python(FAILING if "failing" in words else CHECK))],
        first=[
            Program(
                "web",
                _python(WEB, port),
                port=choices.port,
                port_variable="PORT",
                health_url=f"{choices.url}/healthz",
            )
        ],
        between=[Step("seed", _python(CHECK), echo=True)],
        then=[Program("worker-1", worker, stop_seconds=2)],
        announcement=[f"Lockstep is ready: {choices.url}", "accounts"],
    )


def main() -> int:
    flags = {word for word in sys.argv[1:] if word.startswith("--")}
    words = [word for word in sys.argv[1:] if word not in flags]
    try:
        with stop_on_signals():
            if "--follow-make" in flags:
                follow_make()
            choices = read_choices()
            run_demo(choices, stand_in_plan(choices, words), fresh="--fresh" in flags)
    except StopRequested:
        say("Everything has stopped.")
    except EmbeddedError as error:
        say(str(error))
        return 1
    return 0


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.exit(main())
