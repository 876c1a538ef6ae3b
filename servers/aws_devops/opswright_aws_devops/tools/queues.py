"""Queues: SQS, encrypted, reached over TLS alone, with a dead-letter queue."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.lookup import if_exists
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.policy_documents import policy_document, tls_only
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, Unread, attempt, check

QUEUE = "sqs:queue"
LONGEST_DAYS = 14
"""The longest that SQS keeps a message; what a dead-letter queue is given."""

DAY_SECONDS = 86_400


class Queue(BaseModel):
    """A queue, and the one that takes what its consumers could not handle."""

    queue_url: str
    queue_arn: str
    dead_letter_queue_url: str | None
    dead_letter_queue_arn: str | None


@write_tool(toolset="messaging")
def create_queue(
    name: ResourceName,
    fifo: Annotated[bool, Field(description="Ordered, exactly once; `.fifo` is added")] = False,
    max_receives: Annotated[
        int, Field(description="Tries before dead-lettering; 0: no such queue", ge=0, le=1000)
    ] = 5,
    retention_days: Annotated[
        int, Field(description="Messages are kept", ge=1, le=LONGEST_DAYS)
    ] = 4,
    visibility_timeout_seconds: Annotated[
        int, Field(description="Time to handle one", ge=0, le=43_200)
    ] = 30,
    target: Target = HERE,
) -> Work[Queue]:
    """Create an SQS queue: encrypted, TLS only, with a dead-letter queue."""
    a = aws(target)
    settings = {
        "fifo": fifo,
        "max_receives": max_receives,
        "retention_days": retention_days,
        "visibility_timeout_seconds": visibility_timeout_seconds,
    }
    request = Request.of("create_queue", name, **settings)
    suffix = ".fifo" if fifo else ""
    main = f"{name}{suffix}"
    dead = f"{name}-dead-letters{suffix}" if max_receives else None
    attributes = {
        "MessageRetentionPeriod": retention_days * DAY_SECONDS,
        "VisibilityTimeout": visibility_timeout_seconds,
    }
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, main, dead, max_receives),
        apply=lambda rec: _apply(a, rec, request, main, dead, max_receives, attributes, target),
        verify=lambda made: judge_queue(
            made,
            attempt(lambda: load_queue(a, main)),
            attempt(lambda: load_queue(a, dead)) if dead else None,
            attributes=attributes,
            max_receives=max_receives,
        ),
        outputs=Queue,
    )


def queue_arn(a: Aws, name: str) -> str:
    """The ARN of a queue of this account and region."""
    return f"arn:{a.partition}:sqs:{a.region}:{a.account_id}:{name}"


def load_queue(a: Aws, name: str) -> dict[str, Any] | None:
    """A queue's attributes with its `QueueUrl` and `Tags`, or None when there is none."""
    sqs = a.client("sqs")
    url = if_exists(lambda: sqs.get_queue_url(QueueName=name)["QueueUrl"])
    if url is None:
        return None
    read = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    tags = sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
    return {**read.get("Attributes", {}), "QueueUrl": url, "Tags": tags}


def _plan(a: Aws, request: Request, main: str, dead: str | None, max_receives: int) -> ChangePlan:
    detail = f"after {max_receives} receives" if dead else "without a dead-letter queue"
    wanted = [Action(verb="create", type=QUEUE, name=main, detail=f"encrypted, {detail}")]
    if dead:
        kept = f"keeps messages {LONGEST_DAYS} days"
        wanted.insert(0, Action(verb="create", type=QUEUE, name=dead, detail=kept))
    known = []
    for queue in filter(None, (dead, main)):
        if (found := load_queue(a, queue)) is not None:
            request.claim(f"queue {queue}", found["Tags"])
            known.append(key(QUEUE, queue))
    warnings = ["Undoing this deletes the queues with the messages that are in them by then."]
    if dead:
        warnings.append(f"Nobody is told when {dead} gets a message: an alarm on it does that.")
    else:
        warnings.append(
            "Without a dead-letter queue a message that always fails is tried until it expires."
        )
    return ChangePlan(
        summary=f"Create queue {main} in {a.region}",
        actions=outstanding(wanted, known),
        warnings=warnings,
        observed={"known": known},
    )


def _apply(
    a: Aws,
    rec: Recorder,
    request: Request,
    main: str,
    dead: str | None,
    max_receives: int,
    attributes: Mapping[str, int],
    target: AwsTarget,
) -> Queue:
    sqs = a.client("sqs")

    def make(name: str, settings: Mapping[str, Any]) -> str:
        fixed = {
            "SqsManagedSseEnabled": "true",
            "Policy": policy_document([tls_only("sqs:*", queue_arn(a, name))]),
            **({"FifoQueue": "true"} if name.endswith(".fifo") else {}),
        }

        def send() -> dict[str, str]:
            found = load_queue(a, name)
            if found is not None:
                return {"url": found["QueueUrl"]}
            # Tagged and protected as it is made: there is no moment in which it is neither.
            made = sqs.create_queue(
                QueueName=name,
                Attributes=fixed | {k: str(v) for k, v in settings.items()},
                tags=request.tags(name),
            )
            return {"url": made["QueueUrl"]}

        # A queue's URL is made of account and name, so the inverse is known before it is sent.
        url = f"{sqs.meta.endpoint_url.rstrip('/')}/{a.account_id}/{name}"
        done: dict[str, str] = rec.step(
            key(QUEUE, name),
            send,
            undo=[
                aws_undo(
                    f"delete queue {name} with the messages in it", "sqs", "delete_queue",
                    {"QueueUrl": url}, target=target, region=a.region,
                    gone=("get_queue_url", {"QueueName": name}, "QueueUrl"),
                )
            ],
            resource=ResourceRef(type=QUEUE, id=queue_arn(a, name), name=name),
        )  # fmt: skip
        return done["url"]

    dead_url = None
    redrive: dict[str, str] = {}
    if dead:
        allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [queue_arn(a, main)]}
        kept = {"MessageRetentionPeriod": LONGEST_DAYS * DAY_SECONDS}
        dead_url = make(dead, {**kept, "RedriveAllowPolicy": json.dumps(allowed)})
        target_arn = {"deadLetterTargetArn": queue_arn(a, dead), "maxReceiveCount": max_receives}
        redrive["RedrivePolicy"] = json.dumps(target_arn)
    url = make(main, {**attributes, **redrive})
    return Queue(
        queue_url=url,
        queue_arn=queue_arn(a, main),
        dead_letter_queue_url=dead_url,
        dead_letter_queue_arn=queue_arn(a, dead) if dead else None,
    )


def judge_queue(
    made: Queue,
    queue: dict[str, Any] | Unread | None,
    dead: dict[str, Any] | Unread | None,
    *,
    attributes: Mapping[str, int],
    max_receives: int,
) -> list[Check]:
    """Whether the queue is what was asked for, and safe."""
    arn = made.queue_arn
    if queue is None or isinstance(queue, Unread):
        return [check("Queue exists", queue or False, "SQS knows none of that name", arn)]
    differing = [k for k, wanted in attributes.items() if queue.get(k) != str(wanted)]
    facts = [
        ("It is encrypted", queue.get("SqsManagedSseEnabled") == "true"),
        ("It is reached over TLS alone", "TlsOnly" in sids(queue)),
        ("Retention and visibility are as asked", not differing),
    ]
    checks = [check(name, ok, ", ".join(differing), arn) for name, ok in facts]
    if max_receives:
        redrive = json.loads(queue.get("RedrivePolicy", "{}"))
        wanted = (made.dead_letter_queue_arn, max_receives)
        got = (redrive.get("deadLetterTargetArn"), int(redrive.get("maxReceiveCount", 0)))
        checks.append(
            check("What fails goes to the dead-letter queue", got == wanted, str(redrive), arn)
        )
        there = dead if isinstance(dead, Unread) else dead is not None
        checks.append(
            check("The dead-letter queue exists", there, "", made.dead_letter_queue_arn or "")
        )
    return checks


def sids(queue: Mapping[str, Any]) -> set[str]:
    """The statement ids of a queue's policy."""
    policy = json.loads(queue.get("Policy") or "{}")
    return {statement.get("Sid", "") for statement in policy.get("Statement", [])}
