"""What the orchestrator adds to the calls it makes: CPU time a step, waiting, its start, prompts.

Plans of trivial steps, one after the other and side by side, are carried out durably on SQLite; in
between, the same calls are made bare on the same session (the floor). What a step costs is the
difference between a long plan and a short one, so that what a run costs once does not count. The
processor time is that of this process, which is the orchestrator's; the servers have their own.

The zigzag is two chains whose long steps meet the other's short ones: with barriers between waves
it would take 1.6 times as long as its longer chain. Linux only.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opswright.plan import Plan, Step
from opswright.planners.claude import opening
from opswright.registry import Agent, silent
from opswright.session import Place, Session, opened

REFERENCE = Path(__file__).parent / "reference"
BIN = Path(sys.executable).parent
SIZES = (10, 100)
GOAL_STEP_CPU_MS = 8.0
GOAL_ZIGZAG = 1.05
GOAL_START_CPU_SECONDS = 0.3
PROMPTS = (10, 100, 1000)
GOAL_PROMPT = 1.1
LONG, SHORT, LINKS = 2.0, 0.5, 6
STARTS = {
    "import opswright.cli": [sys.executable, "-c", "import opswright.cli"],
    "opswright --help": [str(BIN / "opswright"), "--help"],
}


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock and of this process's processor time."""

    wall: float
    cpu: float


async def measured(work: Coroutine[Any, Any, object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def greetings(number: int, *, in_a_row: bool) -> Plan:
    steps = [
        Step(
            id=f"s{n}", agent="trivial", tool="greet", args={"name": "Ada"},
            needs=(f"s{n - 1}",) if in_a_row and n else (),
        )
        for n in range(number)
    ]  # fmt: skip
    return Plan(id="plan-greet", goal="greet", planner="benchmark", steps=tuple(steps))


async def bare(agent: Agent, number: int, *, in_a_row: bool) -> None:
    async def one() -> None:
        async with agent.slots:
            await agent.call("greet", {"name": "Ada"}, 60, silent)

    if in_a_row:
        for _ in range(number):
            await one()
    else:
        await asyncio.gather(*(one() for _ in range(number)))


async def carried_out(session: Session, plan: Plan) -> None:
    async def nobody(*_: object) -> bool:
        return False

    ended = await session.execute(session.record(plan, {}), lambda _: None, nobody)
    assert ended.status == "done", session.store.steps(ended)


async def step_costs(session: Session, rounds: int) -> bool:
    """Print what a step costs; whether a goal was missed."""
    agent, missed = session.registry.agents["trivial"], False
    await carried_out(session, greetings(3, in_a_row=True))  # starts DBOS; not counted
    print(f"{'':22}{'bare CPU ms':>12}{'CPU ms over':>12}{'bare ms':>9}{'step ms':>9}")
    for in_a_row in (True, False):
        over, floor, wall, bare_wall = [], [], [], []
        for _ in range(rounds):
            plans = [
                await measured(carried_out(session, greetings(n, in_a_row=in_a_row))) for n in SIZES
            ]
            calls = [await measured(bare(agent, n, in_a_row=in_a_row)) for n in SIZES]
            more = SIZES[1] - SIZES[0]
            floor.append((calls[1].cpu - calls[0].cpu) / more * 1000)
            over.append((plans[1].cpu - plans[0].cpu) / more * 1000 - floor[-1])
            bare_wall.append((calls[1].wall - calls[0].wall) / more * 1000)
            wall.append((plans[1].wall - plans[0].wall) / more * 1000)
        cost = statistics.median(over)
        missed |= cost > GOAL_STEP_CPU_MS
        print(
            f"{'one after the other' if in_a_row else 'side by side':22}"
            f"{statistics.median(floor):12.2f}{cost:12.2f}"
            f"{statistics.median(bare_wall):9.2f}{statistics.median(wall):9.2f}"
            + ("  over the goal" if cost > GOAL_STEP_CPU_MS else "")
        )
    return missed


async def zigzag(session: Session, rounds: int) -> bool:
    """Print how much longer two chains take than the same calls made bare."""

    def seconds(chain: int, link: int) -> float:
        return LONG if (chain + link) % 2 else SHORT

    def step(chain: int, link: int) -> Step:
        return Step(
            id=f"c{chain}l{link}", agent=f"sleeper{chain}", tool="wait",
            args={"seconds": seconds(chain, link)},
            needs=(f"c{chain}l{link - 1}",) if link else (),
        )  # fmt: skip

    async def chain_bare(chain: int) -> None:
        for link in range(LINKS):
            agent = session.registry.agents[f"sleeper{chain}"]
            await agent.call("wait", {"seconds": seconds(chain, link)}, 60, silent)

    async def both_bare() -> None:
        await asyncio.gather(chain_bare(0), chain_bare(1))

    steps = tuple(step(chain, link) for link in range(LINKS) for chain in (0, 1))
    plan = Plan(id="plan-zigzag", goal="zigzag", planner="benchmark", steps=steps)
    ratios = []
    for _ in range(rounds):
        ideal = await measured(both_bare())
        ratios.append((await measured(carried_out(session, plan))).wall / ideal.wall)
    ratio = statistics.median(ratios)
    print(f"\nzigzag of two chains: {ratio:.3f} of the bare calls' time")
    return ratio > GOAL_ZIGZAG


def starts(rounds: int) -> bool:
    """Print the CPU-seconds of starting; whether a goal was missed."""
    missed = False
    for name, command in STARTS.items():
        seconds = statistics.median(_child_seconds(command) for _ in range(rounds))
        missed |= seconds > GOAL_START_CPU_SECONDS
        print(f"{name:22}{seconds:8.2f} CPU-s")
    return missed


def prompt_growth() -> bool:
    """Print how the planner's prompt grows with the steps of a run; whether more than in line."""
    sizes = [len(opening("greet", {}, greetings(n, in_a_row=True).steps, {})) for n in PROMPTS]
    empty = len(opening("greet", {}, (), {}))
    each = [(size - empty) / n for size, n in zip(sizes, PROMPTS, strict=True)]
    said = ", ".join(f"{b:.0f} bytes at {n}" for b, n in zip(each, PROMPTS, strict=True))
    print(f"prompt of a plan made anew, for each step: {said}")
    return each[-1] > each[0] * GOAL_PROMPT


def _child_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def in_session(work: Callable[[Session], Coroutine[Any, Any, bool]]) -> bool:
    sleeper = {"command": sys.executable, "args": [str(REFERENCE / "sleeper.py")]}
    trivial = [str(REFERENCE / "trivial.py"), "plain", "stdio"]
    servers = {
        "trivial": {"command": sys.executable, "args": trivial},
        "sleeper0": sleeper,
        "sleeper1": sleeper,
    }
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mcp.json"
        config.write_text(json.dumps({"mcpServers": servers}))
        async with opened(Place(Path(folder)), config) as session:
            return await work(session)


def main() -> int:
    """Print the tables; exit code 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each (default: 5)")
    rounds = parser.parse_args().rounds
    os.environ.pop("OPSWRIGHT_DATABASE_URL", None)

    async def both(session: Session) -> bool:
        costly = await step_costs(session, rounds)
        return await zigzag(session, max(3, rounds // 2)) or costly

    missed = asyncio.run(in_session(both))
    missed |= starts(rounds)
    missed |= prompt_growth()
    print(
        f"Medians of {rounds}. Goal: at most {GOAL_STEP_CPU_MS:g} CPU-ms over the bare call a "
        f"step, zigzag at most {GOAL_ZIGZAG}, a start at most {GOAL_START_CPU_SECONDS} CPU-s."
    )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
