"""The command ``modellix-jupyter``: the sandbox, and a look at the ledger without a notebook."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from modellix_jupyter.errors import ModellixError, two_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAST_PORT = 65_535


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status, which is 1 if something is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return int(given.run(given))
    except ModellixError as error:
        print(
            "\n".join(two_lines(type(error).__name__, error.message, error.hint)), file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modellix-jupyter", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    sandbox = commands.add_parser("sandbox", help="run a local Modellix, until it is interrupted")
    sandbox.add_argument("--port", type=_port, default=8765, help="0 takes a free one")
    sandbox.add_argument("--concurrent", type=_limit, metavar="N", help="take N tasks at once")
    sandbox.add_argument("--rpm", type=_limit, metavar="N", help="take N requests a minute")
    sandbox.set_defaults(run=_sandbox)
    doctor = commands.add_parser("doctor", help="test the key, the network and the disk")
    doctor.set_defaults(run=_doctor)
    history = commands.add_parser("history", help="show every task that the ledger knows")
    history.set_defaults(run=_history)
    export = commands.add_parser("export", help="write the history to a file")
    export.add_argument("path", help="its ending chooses: csv, json, parquet, xlsx or html")
    export.set_defaults(run=_export)
    return parser


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to {_LAST_PORT}")
    return int(text)


def _limit(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def _sandbox(given: argparse.Namespace) -> int:
    from modellix_jupyter.sandbox_server import Sandbox

    try:
        server = Sandbox(port=given.port, concurrent=given.concurrent, rpm=given.rpm).start()
    except OSError as error:
        raise ModellixError(
            f"The sandbox cannot listen on port {given.port}: {error.strerror}.",
            "Choose another with --port; 0 takes a free one.",
        ) from error
    print(
        f"The sandbox runs at {server.base_url}; Ctrl+C ends it. To use it in another shell:\n"
        f"export MODELLIX_BASE_URL={server.base_url} MODELLIX_API_KEY=sandbox",
        flush=True,
    )
    server.serve_forever()
    return 0


def _doctor(_: argparse.Namespace) -> int:
    from modellix_jupyter.notebook.current_session import current
    from modellix_jupyter.notebook.doctor import examine

    checks = examine(current())
    for check in checks:
        print(f"{check.mark:6}{check.name:18}{check.detail}")
    return int(any(check.good is False for check in checks))


def _history(_: argparse.Namespace) -> int:
    from modellix_jupyter.notebook.current_session import current

    frame = current().history("all")
    shown = ["task_id", "status", "service", "model", "prompt", "submitted_at", "elapsed_s"]
    shown += ["price", "charged"]
    print(frame[shown].to_string() if len(frame) else "The ledger has no tasks yet.")
    return 0


def _export(given: argparse.Namespace) -> int:
    from modellix_jupyter.notebook.current_session import current

    print(current().export_history(given.path, "all"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
