"""A process that writes: `writer.py URL NAME COUNT BATCH`; prints each number once on disk."""

import sys

from opswright_knowledge.records import Provenance, ResourceRecord
from opswright_knowledge.store import Store


def main(url: str, name: str, count: int, batch: int) -> None:
    store = Store(url)
    for number in range(count):
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
        print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
