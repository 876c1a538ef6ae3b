"""Lets a topic send to a queue: one statement in the queue's policy, taken out again by undo."""

import json
from typing import Any

from opswright_core.aws import Aws, AwsTarget, is_absent
from opswright_core.canonical import digest
from opswright_core.policies import account_of, statements
from opswright_core.policy_documents import with_statement, without_statement
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

REMOVE_STATEMENT = "sqs-policy-statement"
"""The kind of undo step that takes one statement out of a queue's policy."""


def send_statement(queue_arn: str, topic_arn: str) -> dict[str, Any]:
    """The statement that lets one topic, and nothing else of SNS, send to a queue.

    Source: "Subscribing an Amazon SQS queue to an Amazon SNS topic", Amazon SNS developer guide.
    """
    return {
        "Sid": f"Topic-{digest(topic_arn)[:16]}",
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }


def admits(policy: str | None, account_id: str, action: str) -> bool:
    """Whether a queue's policy lets an account, or some of it, do something; conditions unweighed.

    Another account's queue needs it beside what the account itself allows ("Cross-account policy
    evaluation logic", IAM user guide).
    """
    return any(
        statement.allows
        and statement.covers(action)
        and (
            statement.everyone or account_id in map(account_of, statement.principals.get("AWS", ()))
        )
        for statement in statements(policy or '{"Statement": []}')
    )


def allow_topic(
    rec: Recorder, queue_arn: str, topic_arn: str, topic: str, target: AwsTarget
) -> None:
    """Add the statement to a queue's policy, unless it is there."""
    statement = send_statement(queue_arn, topic_arn)
    where = target.model_copy(update={"region": queue_arn.split(":")[3]})
    arguments = {
        "queue": queue_arn.rpartition(":")[2],
        "sid": statement["Sid"],
        "target": where.model_dump(exclude_none=True),
    }

    def send() -> dict[str, str]:
        sqs, url, policy = _policy(aws(where), arguments["queue"])
        wanted = with_statement(policy, statement)
        if json.loads(policy or "{}") != json.loads(wanted):
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": wanted})
        return {"queue_url": url}

    rec.step(
        f"sqs:policy {queue_arn}",
        send,
        undo=[
            UndoStep(
                kind=REMOVE_STATEMENT,
                description=f"no more let topic {topic} send to {arguments['queue']}",
                args=arguments,
            )
        ],
    )


def judge_allowed(target: AwsTarget, queue_arn: str, topic_arn: str) -> Check:
    """Whether a queue's policy lets a topic send to it."""
    _, _, _, region, _, queue = queue_arn.split(":")
    where = target.model_copy(update={"region": region})
    sid = send_statement(queue_arn, topic_arn)["Sid"]
    allowed = attempt(lambda: without_statement(_policy(aws(where), queue)[2], sid) is not None)
    return check("The queue's policy lets the topic send", allowed, "", queue_arn)


def _policy(a: Aws, queue: str) -> tuple[Any, str, str | None]:
    sqs = a.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    read = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    return sqs, url, read.get("Attributes", {}).get("Policy")


class StatementUndo:
    """Takes one statement out of a queue's policy; what others put there stays."""

    def replay(self, step: UndoStep) -> None:
        """Take it out; a queue or a statement that is gone is no error."""
        try:
            sqs, url, policy = _policy(aws(AwsTarget(**step.args["target"])), step.args["queue"])
        except Exception as exc:
            if is_absent(exc):
                return
            raise
        rest = without_statement(policy, step.args["sid"])
        if rest is not None:
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": rest})

    def verify(self, step: UndoStep) -> Check:
        """PASS when the queue's policy has no such statement, or the queue is gone."""

        def gone() -> bool:
            target, queue = AwsTarget(**step.args["target"]), step.args["queue"]
            try:
                _, _, policy = _policy(aws(target), queue)
            except Exception as exc:
                if is_absent(exc):
                    return True
                raise
            return without_statement(policy, step.args["sid"]) is None

        read = attempt(gone)
        evidence = "" if isinstance(read, Unread) else f"the policy {'lacks' if read else 'has'} it"
        return check(step.description, read, evidence)
