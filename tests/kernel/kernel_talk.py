"""A real kernel and a real local service, spoken to as a front end does.

Every wait is for a message, and every wait for a message is bounded; nothing sleeps.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import KernelManager

from modellix_jupyter.sandbox_server import Sandbox

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient

Message = dict[str, Any]

SPEED = 20.0
"""At this speed `sandbox/slow`, which takes a minute, takes three seconds."""
PATIENCE_S = 30.0
"""How long a message is waited for: far above what any takes, so that a hang is a failure."""

PICTURE = '<img src="data:image/'


@dataclass(frozen=True)
class Cell:
    """What came of one cell: its reply, and what was published for it until it was idle."""

    id: str
    reply: Message
    published: list[Message]

    def of(self, *kinds: str) -> list[Message]:
        return [m["content"] for m in self.published if m["msg_type"] in kinds]

    @property
    def status(self) -> str:
        return str(self.reply["status"])

    @property
    def printed(self) -> str:
        return self._stream("stdout")

    @property
    def complained(self) -> str:
        return self._stream("stderr")

    def _stream(self, name: str) -> str:
        return "".join(c["text"] for c in self.of("stream") if c["name"] == name)

    @property
    def display_id(self) -> str:
        """The id of its one output."""
        (shown,) = self.of("display_data")
        return str(shown["transient"]["display_id"])

    @property
    def html(self) -> str:
        """The last state of its one output."""
        drawn = self.of("display_data", "update_display_data")
        mine = [c for c in drawn if c["transient"]["display_id"] == self.display_id]
        return str(mine[-1]["data"]["text/html"])


class Talk:
    """One kernel, one client, and every message that the kernel has published."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.messages: list[Message] = []

    def start(self, code: str, *, stop_on_error: bool = False) -> str:
        """Send a cell and do not wait for it.

        With `stop_on_error`, its failure aborts every cell that reaches the kernel before its next
        turn: those that wait behind it, and in a race also what is sent once the reply was read.
        """
        return str(self.client.execute(code, allow_stdin=False, stop_on_error=stop_on_error))

    def run(self, code: str) -> Cell:
        """Send a cell and wait until it has ended."""
        return self.finish(self.start(code))

    def value(self, expression: str) -> str:
        """Return the `str` of an expression of the notebook."""
        cell = self.run(f"print({expression})")
        assert cell.status == "ok", cell.reply
        return cell.printed.strip()

    def finish(self, cell: str) -> Cell:
        """Wait for a cell that was sent."""
        self.until(
            lambda m: (
                m["msg_type"] == "status"
                and _parent(m) == cell
                and m["content"]["execution_state"] == "idle"
            )
        )
        reply = self.reply(cell)
        mine = [m for m in self.messages if _parent(m) == cell]
        return Cell(cell, reply, mine)

    def reply(self, cell: str) -> Message:
        """Wait for the reply to a cell, and for nothing else."""
        while True:
            message = self.client.get_shell_msg(timeout=PATIENCE_S)
            if _parent(message) == cell:
                content: Message = message["content"]
                return content

    def until(self, wanted: Callable[[Message], bool]) -> Message:
        """Return the first message that fits: of those that came already, or of those to come."""
        for message in self.messages:
            if wanted(message):
                return message
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=PATIENCE_S)
            self.messages.append(message)
            if wanted(message):
                return message
        raise AssertionError("the kernel never said it")

    def shown(self, cell: str) -> str:
        """Wait until a cell has an output, and return its display id."""
        message = self.until(lambda m: m["msg_type"] == "display_data" and _parent(m) == cell)
        return str(message["content"]["transient"]["display_id"])

    def pictured(self, display_id: str) -> Message:
        """Wait until the output of that id shows a picture."""
        return self.until(lambda m: _display_id(m) == display_id and PICTURE in _html(m))

    def click(self, model_id: str) -> None:
        """Click a button, as its view in a browser does."""
        self.say(model_id, {"event": "click"})

    def say(self, model_id: str, content: Message) -> None:
        """Say to a widget what its view in a browser does."""
        self._tell(model_id, {"method": "custom", "content": content})

    def change(self, model_id: str, **state: object) -> None:
        """Change the state of a widget, as its view in a browser does."""
        self._tell(model_id, {"method": "update", "state": state, "buffer_paths": []})

    def _tell(self, model_id: str, data: Message) -> None:
        message = self.client.session.msg("comm_msg", {"comm_id": model_id, "data": data})
        self.client.shell_channel.send(message)

    def offered(self, code: str) -> list[str]:
        """Return what Tab offers at the end of a cell."""
        reply: Message = self.client.complete(code, reply=True, timeout=PATIENCE_S)["content"]
        return [code[: reply["cursor_start"]] + match for match in reply["matches"]]

    def until_true(self, expression: str) -> None:
        """Wait until an expression of the notebook is true."""
        deadline = time.monotonic() + PATIENCE_S
        while self.value(f"bool({expression})") != "True":
            assert time.monotonic() < deadline, expression


def _parent(message: Message) -> str | None:
    found = message["parent_header"].get("msg_id")
    return None if found is None else str(found)


def _display_id(message: Message) -> object:
    return message["content"].get("transient", {}).get("display_id")


def _html(message: Message) -> str:
    return str(message["content"].get("data", {}).get("text/html", ""))


def kernel_environment(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """Return the environment of a kernel that knows this service and owns this folder."""
    return {
        **os.environ,
        "MODELLIX_BASE_URL": sandbox.base_url,
        "MODELLIX_API_KEY": "sandbox",
        "MODELLIX_HOME": str(folder / "home"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }


@contextmanager
def a_kernel(sandbox: Sandbox, folder: Path) -> Iterator[Talk]:
    """Run a kernel with the extension loaded, and shut it down by its manager."""
    runtime = folder / "runtime"
    runtime.mkdir()
    manager = KernelManager(kernel_name="python3", transport="ipc", ip=str(runtime / "k"))
    manager.start_kernel(env=kernel_environment(sandbox, folder), cwd=str(folder))
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=PATIENCE_S)
        talk = Talk(manager, client)
        assert talk.run("%load_ext modellix_jupyter").status == "ok"
        yield talk
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        client.context.destroy(linger=0)
