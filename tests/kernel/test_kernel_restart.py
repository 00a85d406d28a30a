"""What a kernel that ended has left unfinished, the next one takes up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernel_talk import PATIENCE_S, PICTURE, SPEED, Talk, a_kernel

from modellix_jupyter.sandbox_server import Sandbox

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(speed=SPEED) as running:
        yield running


@pytest.fixture
def talk(service: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with a_kernel(service, tmp_path_factory.mktemp("kernel")) as talk:
        yield talk


def accepted(talk: Talk, cell: str) -> None:
    """Wait until the service has taken the task of a cell that does not wait."""
    shown = talk.shown(cell)
    talk.until(
        lambda m: (
            m["content"].get("transient", {}).get("display_id") == shown
            and "pending" in m["content"]["data"]["text/plain"]
        )
    )


@pytest.mark.parametrize("now", [True, False], ids=["killed", "shut down"])
def test_what_a_kernel_left_is_announced_in_one_line_and_resumed(
    talk: Talk,
    service: Sandbox,
    now: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    sent = len(service.submissions)
    cell = talk.run("%%modellix sandbox/slow --no-wait\na lighthouse")
    accepted(talk, cell.id)
    talk.manager.restart_kernel(now=now)
    talk.client.wait_for_ready(timeout=PATIENCE_S)
    loaded = talk.run("%load_ext modellix_jupyter")
    assert loaded.printed == (
        "Modellix: 1 task is unfinished; `%modellix resume` shows what can be done.\n"
    )
    resumed = talk.run("%modellix resume")
    assert resumed.status == "ok", resumed.reply
    assert "1 task taken up." in resumed.printed
    assert PICTURE in resumed.html
    assert talk.value("[t.status.value for t in _]") == "['success']"
    assert len(service.submissions) == sent + 1
    assert "Nothing is unfinished." in talk.run("%modellix resume").printed
    assert talk.run("%reload_ext modellix_jupyter").printed == ""
