"""A process that writes: `writer.py URL NAME COUNT BATCH [THREADS]`; prints what is on disk.

Each of COUNT transactions counts up a shared value and records BATCH resources; its number is
printed when it is acknowledged. THREADS of them are under way at once.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from opswright_knowledge.records import Provenance, ResourceRecord
from opswright_knowledge.store import Store


def main(url: str, name: str, count: int, batch: int, threads: int = 1) -> None:
    store = Store(url)

    def write(number: int) -> None:
        with store.writing(Provenance(agent=name)) as unit:
            counter = unit.context.get("shared", "counter")
            unit.context.put("shared", "counter", (counter.value if counter else 0) + 1)
            unit.resources.put(
                [
                    ResourceRecord(
                        type="t", id=f"{name}-{number}-{i}", tags={"of": f"{name}-{number}"}
                    )
                    for i in range(batch)
                ]
            )
        print(f"{number}\n", end="", flush=True)  # in one piece, whichever thread writes

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, range(count)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
