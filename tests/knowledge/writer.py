"""A process that writes: `writer.py URL NAME COUNT BATCH [UNDER_WAY]`; prints what is on disk.

Each of COUNT transactions counts up a shared value and records BATCH resources; its number is
printed when it is acknowledged. UNDER_WAY of them are at a time.
"""

import asyncio
import functools
import sys

from opswright_knowledge.records import Provenance, ResourceRecord
from opswright_knowledge.storage.unit_of_work import UnitOfWork
from opswright_knowledge.store import Store


async def main(url: str, name: str, count: int, batch: int, under_way: int = 1) -> None:
    store = Store(url)
    numbers = iter(range(count))

    async def write() -> None:
        for number in numbers:
            await store.write(Provenance(agent=name), functools.partial(record, number))
            print(number, flush=True)

    def record(number: int, unit: UnitOfWork) -> None:
        counter = unit.context.get("shared", "counter")
        unit.context.put("shared", "counter", (counter.value if counter else 0) + 1)
        of = f"{name}-{number}"
        unit.resources.put(
            [ResourceRecord(type="t", id=f"{of}-{i}", tags={"of": of}) for i in range(batch)]
        )

    await asyncio.gather(*(write() for _ in range(under_way)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])))
