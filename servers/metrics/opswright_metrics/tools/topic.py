"""The SNS topic that alarms notify: who may publish, who is subscribed, and how each is undone.

Encryption: a topic under the AWS-managed key `alias/aws/sns` silently loses every alarm, because
that key's policy lets no other service use it and cannot be edited (AWS Knowledge Center,
"How can I configure a CloudWatch alarm with an encrypted SNS topic"). So a topic has either a
customer-managed key whose policy admits cloudwatch.amazonaws.com, or none; alarm texts hold metric
names and values, no secrets.
"""

import json
from dataclasses import dataclass
from typing import Any

from opswright_core.aws import Aws, AwsTarget, is_absent, tags_of
from opswright_core.changes import Action, ResourceRef
from opswright_core.errors import BadInputError, ConflictError
from opswright_core.policy_documents import VERSION, tls_only
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, Unread, attempt, check
from opswright_metrics.tools.alarm_specs import MANAGED, alarm_tags

SUBSCRIPTION = "sns_subscription"
"""The kind of undo step that takes a subscription back."""


@dataclass(frozen=True, kw_only=True)
class Topic:
    """The topic as it is: attributes (None when it does not exist), subscribed email → its ARN."""

    arn: str
    attributes: dict[str, str] | None
    emails: dict[str, str]


def topic_arn(a: Aws, name: str) -> str:
    """The ARN the topic of `name` has or will have."""
    return f"arn:{a.partition}:sns:{a.region}:{a.account_id}:{name}-alerts"


def load_topic(a: Aws, name: str) -> Topic:
    """Read the topic. Raises ConflictError when one of that name exists that is not ours."""
    arn, sns = topic_arn(a, name), a.client("sns")
    try:
        attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    except Exception as exc:
        if is_absent(exc):
            return Topic(arn=arn, attributes=None, emails={})
        raise
    tags = tags_of(sns.list_tags_for_resource(ResourceArn=arn)["Tags"])
    if tags.get("managed-by") != MANAGED["managed-by"]:
        raise ConflictError(
            f"a topic {name}-alerts exists that opswright did not make; choose another name, "
            "or tag it managed-by=opswright to have it taken over."
        )
    return Topic(arn=arn, attributes=attributes, emails=_emails(a, arn))


def _emails(a: Aws, arn: str) -> dict[str, str]:
    found = a.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)
    return {s["Endpoint"]: s["SubscriptionArn"] for s in found if s["Protocol"] == "email"}


def topic_policy(arn: str) -> dict[str, Any]:
    """Only alarms of the topic's account and region may publish, and only over TLS."""
    _, partition, _, region, account, _ = arn.split(":", 5)
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "AlarmsPublish",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": arn,
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": account},
                    "ArnLike": {
                        "aws:SourceArn": f"arn:{partition}:cloudwatch:{region}:{account}:alarm:*"
                    },
                },
            },
            tls_only("sns:Publish", arn),
        ],
    }


def check_key(a: Aws, kms_key_id: str) -> Check:
    """Whether alarms can publish through a key. Raises BadInputError for an AWS-managed one."""
    kms = a.client("kms")
    managed = kms_key_id.startswith("alias/aws/")
    key = {} if managed else kms.describe_key(KeyId=kms_key_id)["KeyMetadata"]
    if managed or key.get("KeyManager") == "AWS":
        raise BadInputError(
            f"CloudWatch alarms cannot publish to a topic under {kms_key_id}: the policy of an "
            "AWS-managed key cannot admit them. Give a customer-managed key or none at all."
        )
    policy = attempt(lambda: kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"])
    return check(
        "The key's policy admits cloudwatch.amazonaws.com",
        policy if isinstance(policy, Unread) else "cloudwatch.amazonaws.com" in policy,
        "it must allow kms:Decrypt and kms:GenerateDataKey* to that service",
        key["KeyId"],
    )


def _wanted(topic: Topic, kms_key_id: str | None) -> dict[str, str]:
    """The attributes to set; without a key of the caller's an AWS-managed one is taken off."""
    wanted = {"Policy": json.dumps(topic_policy(topic.arn))}
    key = (topic.attributes or {}).get("KmsMasterKeyId", "")
    if kms_key_id or key.endswith("alias/aws/sns"):
        wanted["KmsMasterKeyId"] = kms_key_id or ""
    return wanted


def _differing(topic: Topic, kms_key_id: str | None) -> dict[str, str]:
    present = topic.attributes or {}
    return {
        key: value
        for key, value in _wanted(topic, kms_key_id).items()
        if not _same(present.get(key, ""), value)
    }


def _same(left: str, right: str) -> bool:
    if left.startswith("{") and right.startswith("{"):
        return bool(json.loads(left) == json.loads(right))
    return left == right


def topic_actions(topic: Topic, kms_key_id: str | None, email: str | None) -> list[Action]:
    """What it takes to have the topic as it should be."""
    name = topic.arn.rpartition(":")[2]
    actions: list[Action] = []
    if topic.attributes is None:
        key = f"encrypted with {kms_key_id}" if kms_key_id else "no KMS key"
        detail = f"only alarms of this account publish, TLS only, {key}"
        actions.append(Action(verb="create", type="sns:topic", name=name, detail=detail))
    elif differing := _differing(topic, kms_key_id):
        detail = f"sets {', '.join(differing)}"
        actions.append(Action(verb="modify", type="sns:topic", name=name, detail=detail))
    if email and email not in topic.emails:
        detail = "SNS sends a confirmation mail; nothing is delivered before it is accepted"
        actions.append(Action(verb="create", type="sns:subscription", name=email, detail=detail))
    return actions


def apply_topic(
    rec: Recorder, a: Aws, target: AwsTarget, topic: Topic, name: str,
    kms_key_id: str | None, email: str | None,
) -> None:  # fmt: skip
    """Make the topic as it should be, each call a step with its inverse."""
    sns, region, arn = a.client("sns"), a.region, topic.arn
    ref = ResourceRef(type="sns:topic", id=arn, name=arn.rpartition(":")[2])
    read = {"TopicArn": arn}
    if topic.attributes is None:
        rec.step(
            "topic",
            lambda: {
                "topic_arn": sns.create_topic(
                    Name=ref.name, Attributes=_wanted(topic, kms_key_id), Tags=alarm_tags(name)
                )["TopicArn"]
            },
            undo=[
                aws_undo(
                    f"delete topic {ref.name} and its subscriptions", "sns", "delete_topic", read,
                    target=target, region=region, gone=("get_topic_attributes", read, "Attributes"),
                )
            ],
            resource=ref,
        )  # fmt: skip
    else:
        for key, value in _differing(topic, kms_key_id).items():
            _set_attribute(rec, a, target, ref, key, topic.attributes.get(key, ""), value)
    if email and email not in topic.emails:
        _subscribe(rec, a, target, arn, email, ours=topic.attributes is None)


def _set_attribute(
    rec: Recorder, a: Aws, target: AwsTarget, ref: ResourceRef, key: str, before: str, value: str
) -> None:
    sns, read = a.client("sns"), {"TopicArn": ref.id}
    quoted = json.dumps(before).replace("`", "\\`")
    rec.step(
        f"topic {key}",
        lambda: sns.set_topic_attributes(**read, AttributeName=key, AttributeValue=value) and {},
        undo=[
            aws_undo(
                f"restore {key} of topic {ref.name}", "sns", "set_topic_attributes",
                {**read, "AttributeName": key, "AttributeValue": before},
                target=target, region=a.region,
                gone=("get_topic_attributes", read, f"(Attributes.{key} || '') != `{quoted}`"),
            )
        ],
        resource=ref.model_copy(update={"action": "modified"}),
    )  # fmt: skip


def _subscribe(
    rec: Recorder, a: Aws, target: AwsTarget, arn: str, email: str, *, ours: bool
) -> None:
    """A topic made by the same change (`ours`) takes its subscriptions with it when deleted."""
    sns = a.client("sns")
    inverse = UndoStep(
        kind=SUBSCRIPTION,
        description=f"unsubscribe {email}",
        args={
            "topic_arn": arn, "email": email, "region": a.region,
            "target": target.model_dump(exclude_none=True),
        },
    )  # fmt: skip
    rec.step(
        f"subscribe {email}",
        lambda: {
            "subscription_arn": sns.subscribe(
                TopicArn=arn, Protocol="email", Endpoint=email, ReturnSubscriptionArn=True
            )["SubscriptionArn"]
        },
        undo=[] if ours else [inverse],
        resource=lambda made: ResourceRef(
            type="sns:subscription", id=made["subscription_arn"], name=email
        ),
    )


class SubscriptionUndo:
    """Takes an email subscription back; SNS drops one that stays unconfirmed for 48 hours."""

    def replay(self, step: UndoStep) -> None:
        """Unsubscribe a confirmed one; an unconfirmed one cannot be, and delivers nothing."""
        if (arn := self._find(step)) and arn.startswith("arn:"):
            self._open(step).client("sns").unsubscribe(SubscriptionArn=arn)

    def verify(self, step: UndoStep) -> Check:
        """PASS when the address gets nothing any more."""
        found = attempt(lambda: self._find(step))
        if isinstance(found, Unread):
            return check(step.description, found)
        return check(
            step.description, not found or not found.startswith("arn:"), found or "not listed"
        )

    def _find(self, step: UndoStep) -> str | None:
        return _emails(self._open(step), step.args["topic_arn"]).get(step.args["email"])

    def _open(self, step: UndoStep) -> Aws:
        return aws(AwsTarget(**{**step.args["target"], "region": step.args["region"]}))


def verify_topic(topic: Topic, kms_key_id: str | None, email: str | None) -> list[Check]:
    """Read back: it exists, its policy and key are as wanted, the address is subscribed."""
    if topic.attributes is None:
        return [check("The topic exists", False, "not found", topic.arn)]
    differing = _differing(topic, kms_key_id)
    checks = [
        check("The topic exists", True, "read back", topic.arn),
        check(
            "Alarms, and only over TLS, may publish to it",
            not differing,
            f"differs in {', '.join(differing)}" if differing else "policy and key as wanted",
            topic.arn,
        ),
    ]
    if email:
        state = topic.emails.get(email, "not subscribed")
        evidence = "confirmed" if state.startswith("arn:") else state
        checks.append(check(f"{email} is subscribed", email in topic.emails, evidence, topic.arn))
    return checks
