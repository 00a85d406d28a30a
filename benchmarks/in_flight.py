"""Many tasks at once: wall time, CPU and memory a task, against a loop of bare requests.

Ours and the bare loop run in a process each, in turn, against one server in a third.
`python -m benchmarks.in_flight ours|bare URL HOME COUNT SECONDS QUESTIONS` is one such process.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.figures import Figure
from benchmarks.rig import EVEN, KEY, QUICK, Kernel, Server, peak_kib, requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Scale
    from modellix_jupyter.values import Request

BUDGET = 100.0
"""Requests a second: a thousand tasks take ten seconds to send, not a hundred."""
CPU_TIMES = 2.0
"""How many times the CPU of the bare loop a task may cost."""
TASK_S = {"full": 8.0, "smoke": 0.5}
_ROOT = Path(__file__).parents[1]


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield wall time, CPU and memory for each number of tasks."""
    seconds = TASK_S[scale.name]
    with Server(EVEN, seconds) as server, tempfile.TemporaryDirectory() as home:
        place = Place(server.url, home, seconds)
        _run("ours", place, 5)  # so that the model was seen before
        alone = [int(_run(which, place, 1)["peak_kib"]) for which in ("ours", "bare")]
        for count in scale.in_flight:
            pairs = [_pair(place, count) for _ in range(min(scale.repeats, 3))]
            yield from _compared(count, seconds, pairs, alone)


_MANY = 1_000

Measured = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where both of a pair work, and how long each task takes."""

    url: str
    home: str
    seconds: float


def _pair(place: Place, count: int) -> tuple[Measured, Measured]:
    ours = _run("ours", place, count)
    return ours, _run("bare", place, count, round(ours["polls"] / count))


def _run(which: str, place: Place, count: int, polls: int = 1) -> Measured:
    """Run one of the two in a process of its own; return what it measured of itself."""
    arguments = [which, place.url, place.home, *map(str, (count, place.seconds, polls))]
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-m", "benchmarks.in_flight", *arguments],
        stdout=subprocess.PIPE,
        check=True,
        cwd=_ROOT,
    )
    measured: Measured = json.loads(done.stdout)
    return measured


def _compared(
    count: int, seconds: float, pairs: list[tuple[Measured, Measured]], alone: list[int]
) -> Iterator[Figure]:
    def middle(fact: str, which: int) -> float:
        return statistics.median(float(pair[which][fact]) for pair in pairs)

    many = f"{count:,} task{'s' * (count > 1)} at once"
    wall, longest = middle("wall_s", 0), middle("longest_s", 0)
    allowed = 1.1 * longest + 2 * count / BUDGET
    yield Figure(
        what=f"{many} of {seconds:g} s: until all are seen and saved",
        ours=f"{wall:.1f} s, {middle('polls', 0) / count:.2f} polls a task",
        against=f"the longest task: {longest:.1f} s; bare loop: {middle('wall_s', 1):.1f} s",
        ratio=wall / longest,
        goal=f"{allowed:.1f} s: 1.1 x the longest, and two requests a task at {BUDGET:g} a second",
        met=wall <= allowed,
    )
    cpu, bare = (1000 * middle("cpu_s", which) / count for which in (0, 1))
    yield Figure(
        what=f"{many}: CPU a task",
        ours=f"{cpu:.1f} ms",
        against=f"bare httpx, the same requests: {bare:.1f} ms",
        ratio=cpu / bare,
        goal=f"at most {CPU_TIMES:g} times" if count >= _MANY else "",
        met=cpu <= CPU_TIMES * bare if count >= _MANY else None,
    )
    if count > 1:
        memory, theirs = ((middle("peak_kib", w) - alone[w]) / count for w in (0, 1))
        yield Figure(
            what=f"{many}: peak memory a task, more than one task alone (resident)",
            ours=f"{memory:.0f} KiB",
            against=f"bare httpx, the same requests: {theirs:.0f} KiB",
            ratio=memory / theirs if min(memory, theirs) > 0 else None,
            goal="at most 50 KiB" if count >= 1000 else "",
            met=memory <= 50 if count >= 1000 else None,
        )


# -- the two, each in a process of its own


def ours(place: Place, work: list[Request]) -> Measured:
    """Drive the tasks as a session does."""
    with Kernel(
        Path(place.home), place.url, max_in_flight=max(64, len(work)), requests_per_second=BUDGET
    ) as kernel:
        kernel.run(requests(QUICK, 1))  # what is done once in a process is no task's
        kernel.client.polls.clear()
        begun, cpu = time.perf_counter(), time.process_time()
        tasks = kernel.run(work)
        return {
            "wall_s": time.perf_counter() - begun,
            "cpu_s": time.process_time() - cpu,
            "peak_kib": peak_kib(),
            "polls": kernel.client.polls.total(),
            "longest_s": max(task.duration_ms or 0 for task in tasks) / 1000,
        }


async def bare(place: Place, work: list[Request], polls: int) -> Measured:
    """Do the same requests with httpx alone: no ledger, no retries, no checks, no limits."""
    folder = Path(place.home) / "bare"
    folder.mkdir(exist_ok=True)
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=2.0)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(
        base_url=place.url, headers=headers, limits=limits, timeout=60, trust_env=False
    ) as client:

        async def one(number: int, request: Request, seconds: float) -> float:
            await asyncio.sleep(number / BUDGET)
            path = f"/api/v1/{request.model}/async"
            accepted = (await client.post(path, json=request.body())).json()["data"]
            about = f"/api/v1/tasks/{accepted['task_id']}"
            for _ in range(polls - 1):
                await client.get(about)
            await asyncio.sleep(seconds)
            answer = (await client.get(about)).json()["data"]
            while answer["status"] != "success":  # a moment too early
                await asyncio.sleep(0.05)
                answer = (await client.get(about)).json()["data"]
            picture = await client.get(answer["result"]["resources"][0]["url"])
            (folder / f"{number}.png").write_bytes(picture.content)
            return float(answer["duration"]) / 1000

        await one(0, requests(QUICK, 1)[0], 0.05)
        begun, cpu = time.perf_counter(), time.process_time()
        running = [one(n, request, place.seconds + 0.05) for n, request in enumerate(work)]
        longest = max(await asyncio.gather(*running))
        return {
            "wall_s": time.perf_counter() - begun,
            "cpu_s": time.process_time() - cpu,
            "peak_kib": peak_kib(),
            "longest_s": longest,
        }


def main() -> None:
    """Be one of the two processes."""
    which, url, home, count, seconds, polls = sys.argv[1:]
    place, work = Place(url, home, float(seconds)), requests(EVEN, int(count))
    measured = ours(place, work) if which == "ours" else asyncio.run(bare(place, work, int(polls)))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
