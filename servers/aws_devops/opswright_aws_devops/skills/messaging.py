"""Skills that make queues and topics."""

from typing import Annotated, Literal

from pydantic import Field

from opswright_aws_devops.skills.building import Name
from opswright_core.agent.place import InRegion
from opswright_core.agent.report import Memory, Outcome
from opswright_core.agent.skills import skill
from opswright_core.agent.worker import Worker


class QueueWanted(InRegion):
    """Which queue to make."""

    name: Name
    kind: Annotated[
        Literal["standard", "fifo"], Field(description="fifo: ordered, exactly once")
    ] = "standard"


@skill(
    "create a queue named orders",
    "make an SQS queue with a dead-letter queue called mails",
    risk="write",
)
async def create_message_queue(worker: Worker, inputs: QueueWanted) -> Outcome:
    """Create an SQS message queue with a dead-letter queue."""
    change = await worker.call(
        "create_queue", name=inputs.name, fifo=inputs.kind == "fifo", **inputs.where
    )
    made = change["outputs"]
    said = f"Queue {made['queue_url']}"
    return Outcome(
        summary=f"{said} is there: encrypted, TLS only; what fails goes to "
        f"{made['dead_letter_queue_url']}.",
        outputs=made,
        memories=[Memory(kind="fact", text=said)],
    )
