"""Changes a queue that is there: how long it hides, keeps and waits for messages, and retries."""

import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.differences import Difference, Planned, differences, is_not
from opswright_aws_devops.steps import send
from opswright_aws_devops.tools.queues import DAY_SECONDS, LONGEST_DAYS, QUEUE, load_queue
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, check

VISIBILITY, RETENTION = "visibility_timeout_seconds", "retention_days"
WAIT, RECEIVES = "wait_seconds", "max_receives"
WORDS = {
    VISIBILITY: "VisibilityTimeout",
    RETENTION: "MessageRetentionPeriod",
    WAIT: "ReceiveMessageWaitTimeSeconds",
    RECEIVES: "RedrivePolicy",
}
"""SQS's attributes for the settings."""


class QueueSettings(BaseModel):
    """A queue's settings as they are now; `max_receives` is None without a dead-letter queue."""

    queue: str
    visibility_timeout_seconds: int
    retention_days: float
    wait_seconds: int
    max_receives: int | None


@dataclass(frozen=True)
class Now:
    """What was read of a queue."""

    name: str
    url: str
    arn: str
    attributes: dict[str, str]
    """SQS's own, of `WORDS`."""
    kept: dict[str, str]
    """What is sent along: an emulator forgets a policy that is not; SQS itself needs none."""

    @property
    def redrive(self) -> dict[str, Any]:
        """Where messages go that fail, and after how many tries."""
        found: dict[str, Any] = json.loads(self.attributes.get(WORDS[RECEIVES]) or "{}")
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """The settings by our words."""
        receives = self.redrive.get("maxReceiveCount")
        return {
            VISIBILITY: int(self.attributes[WORDS[VISIBILITY]]),
            RETENTION: int(self.attributes[WORDS[RETENTION]]) / DAY_SECONDS,
            WAIT: int(self.attributes.get(WORDS[WAIT], 0)),
            RECEIVES: None if receives is None else int(receives),
        }


@write_tool(toolset="messaging")
def configure_queue(
    queue: Annotated[
        str, Field(description="Name of one that exists", pattern=r"^[\w-]{1,80}(\.fifo)?$")
    ],
    visibility_timeout_seconds: Annotated[
        int | None, Field(description="Time to handle one", ge=0, le=43_200)
    ] = None,
    retention_days: Annotated[
        int | None, Field(description="Messages are kept", ge=1, le=LONGEST_DAYS)
    ] = None,
    wait_seconds: Annotated[
        int | None, Field(description="A receive waits for messages", ge=0, le=20)
    ] = None,
    max_receives: Annotated[
        int | None, Field(description="Tries before dead-lettering", ge=1, le=1000)
    ] = None,
    target: Target = HERE,
) -> Work[QueueSettings]:
    """Change the settings of an SQS queue; what is not given stays."""
    wanted = {
        VISIBILITY: visibility_timeout_seconds,
        RETENTION: retention_days,
        WAIT: wait_seconds,
        RECEIVES: max_receives,
    }
    if all(value is None for value in wanted.values()):
        raise BadInputError(f"Nothing to change: give {', '.join(WORDS)}.")
    a = aws(target)
    planned = Planned(f"Queue {queue}", lambda: _load(a, queue))
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(planned.read(), wanted),
        apply=lambda rec: _apply(a, rec, planned.confirm(), wanted, target),
        verify=lambda _: judge_settings(_load(a, queue), wanted),
        outputs=QueueSettings,
        existing=lambda: _outputs(_load(a, queue)),
    )


def _load(a: Aws, name: str) -> Now:
    found = load_queue(a, name)
    if found is None:
        raise NotFoundError(f"There is no queue {name!r} in {a.region}; create_queue makes one.")
    attributes = {word: found[word] for word in WORDS.values() if word in found}
    kept = {"Policy": found["Policy"]} if a.is_emulator and "Policy" in found else {}
    return Now(name, found["QueueUrl"], found["QueueArn"], attributes, kept)


def _plan(now: Now, wanted: dict[str, Any]) -> ChangePlan:
    found = differences(now.settings, wanted)
    if RECEIVES in found and not now.redrive:
        raise BadInputError(
            f"max_receives: {now.name} has no dead-letter queue, so a message that fails is tried "
            "until it expires; create_queue makes a queue with one."
        )
    return ChangePlan(
        summary=f"Change queue {now.name}: {'; '.join(map(str, found.values()))}",
        actions=[
            Action(verb="modify", type=QUEUE, name=now.name, detail=str(one))
            for one in found.values()
        ],
        warnings=_warnings(found),
        observed={"attributes": now.attributes},
    )


def _warnings(found: dict[str, Difference]) -> list[str]:
    said = []
    if (kept := found.get(RETENTION)) and kept.new < kept.old:
        said.append(
            f"Messages older than {kept.new} days are deleted; an undo brings none of them back."
        )
    if (hidden := found.get(VISIBILITY)) and hidden.new < hidden.old:
        said.append(
            f"A consumer that takes longer than {hidden.new} s gets its message handed out twice; "
            "a Lambda function's timeout has to be shorter, a sixth of it best."
        )
    if (tries := found.get(RECEIVES)) and tries.new < tries.old:
        said.append(
            "Messages that were tried more often go to the dead-letter queue when next read."
        )
    return said


def _apply(
    a: Aws, rec: Recorder, now: Now, wanted: dict[str, Any], target: AwsTarget
) -> QueueSettings:
    sqs, found = a.client("sqs"), differences(now.settings, wanted)
    new = {WORDS[setting]: _attribute(now, one) for setting, one in found.items()}
    if new:
        rec.step(
            f"settings of {now.name}: {', '.join(map(str, found.values()))}",
            lambda: send(sqs.set_queue_attributes, QueueUrl=now.url, Attributes=new | now.kept),
            undo=_undo(now, found, target, a.region),
            resource=ResourceRef(type=QUEUE, id=now.arn, name=now.name, action="modified"),
        )
    return _outputs(_load(a, now.name))


def _attribute(now: Now, one: Difference) -> str:
    """SQS's value of a setting that is asked for."""
    if one.setting == RETENTION:
        return str(one.new * DAY_SECONDS)
    if one.setting == RECEIVES:
        return json.dumps({**now.redrive, "maxReceiveCount": one.new})
    return str(one.new)


def _undo(now: Now, found: dict[str, Difference], target: AwsTarget, region: str) -> list[UndoStep]:
    old = {WORDS[setting]: now.attributes.get(WORDS[setting], "0") for setting in found}
    told = ", ".join(f"{one.setting} {one.old}" for one in found.values())
    read = {"QueueUrl": now.url, "AttributeNames": ["All"]}
    return [
        aws_undo(
            f"give queue {now.name} its settings back: {told}", "sqs", "set_queue_attributes",
            {"QueueUrl": now.url, "Attributes": old | now.kept}, target=target, region=region,
            gone=("get_queue_attributes", read, f"[Attributes] | [?{is_not(old)}]"),
        )
    ]  # fmt: skip


def _outputs(now: Now) -> QueueSettings:
    return QueueSettings(queue=now.name, **now.settings)


def judge_settings(now: Now, wanted: dict[str, Any]) -> list[Check]:
    """Whether each setting that was asked for is so."""
    found = differences(now.settings, wanted)
    return [
        check(f"Its {word} is as asked", word not in found, str(found.get(word, value)), now.arn)
        for word, value in wanted.items()
        if value is not None
    ]
