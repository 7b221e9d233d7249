"""`python -m webapp.sandbox --port 8001`: the sandbox as a process of its own."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from webapp.sandbox import create_sandbox
from webapp.sandbox.core import GENEROUS_LIMIT
from webapp.sandbox.server import SandboxServer


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Prints the address once it can be reached."""
    wanted = _read(arguments)
    app = create_sandbox(data=wanted.data, rate_limit=wanted.rate_limit)
    try:
        server = SandboxServer(app, wanted.host, wanted.port)
    except OSError as error:
        sys.stderr.write(f"sandbox: can't listen on {wanted.host}:{wanted.port}: {error}\n")
        return 1
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    sys.stdout.write(f"sandbox: http://{wanted.host}:{server.port}\n")
    sys.stdout.flush()
    stopped.wait()
    app.extensions["sandbox"].stopping.set()
    server.stop()
    app.extensions["sandbox"].close()
    return 0


def _read(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m webapp.sandbox", description="A sandbox that stands in for Cal.com."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one")
    parser.add_argument("--data", type=Path, help="keep the state in this file; else in memory")
    parser.add_argument(
        "--rate-limit", type=int, default=GENEROUS_LIMIT, help="calls per 60 s and API key"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
