"""How well requests are routed and planned without a model, on the real servers' catalogues.

python benchmarks/planning.py            the figures of both files
python benchmarks/planning.py --misses   and what was missed in the development file
"""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.evals.scoring import FILES, evaluate, load
from tests.evals.team import real_team


async def main(show_misses: bool) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        async with real_team(Path(folder)) as agents:
            for name in FILES:
                figures = await evaluate(load(name), agents)
                print(f"{name}: {figures.routed} routed, {figures.planned} planned")
                for what, share in figures.shares().items():
                    print(f"  {what:20} {share:.3f}")
                if show_misses and name == "development":
                    print(*(f"    {miss}" for miss in figures.misses), sep="\n")


if __name__ == "__main__":
    logging.disable(logging.INFO)
    asyncio.run(main("--misses" in sys.argv))
