"""Topics: SNS, encrypted, reached over TLS alone, with the queues and people they tell."""

import functools
import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.access.queue_policies import allow_topic, judge_allowed
from opswright_aws_devops.lookup import if_exists
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target, tags_of
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.policy_documents import policy_document, tls_only
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, Unread, attempt, check

TOPIC = "sns:topic"
AWS_KEY = "alias/aws/sns"
PENDING = "PendingConfirmation"
QueueArn = Annotated[
    str, Field(pattern=r"^arn:[a-z-]+:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,80}$")
]
Email = Annotated[str, Field(pattern=r"^[^@\s]{1,64}@[^@\s]{3,180}$")]


class Subscription(BaseModel):
    """One who is told."""

    endpoint: str
    protocol: str
    confirmed: bool = Field(description="An e-mail address gets nothing before it confirms")


class Topic(BaseModel):
    """A topic and whom it tells."""

    topic_arn: str
    subscriptions: list[Subscription]


@dataclass(frozen=True)
class Wanted:
    """What is asked for; `topic` is the name, with `.fifo` where it is one."""

    topic: str
    queue_arns: list[str]
    emails: list[str]
    kms_key: str

    @property
    def fifo(self) -> bool:
        """Whether messages keep their order and come once."""
        return self.topic.endswith(".fifo")

    @property
    def endpoints(self) -> list[tuple[str, str]]:
        """Protocol and address of each who is told."""
        return [("sqs", arn) for arn in self.queue_arns] + [("email", m) for m in self.emails]

    def attributes(self, arn: str, account_id: str) -> dict[str, str]:
        """SNS's `Attributes` of the topic."""
        ordered = {"FifoTopic": "true", "ContentBasedDeduplication": "true"} if self.fifo else {}
        return {
            "KmsMasterKeyId": self.kms_key,
            "Policy": topic_policy(arn, account_id),
            **ordered,
        }


@write_tool(toolset="messaging")
def create_topic(
    name: ResourceName,
    queue_arns: Annotated[
        list[QueueArn], Field(description="Queues of this account to deliver to", max_length=20)
    ] = [],  # noqa: B006 (never changed)
    emails: Annotated[
        list[Email], Field(description="Asked by mail to confirm", max_length=20)
    ] = [],  # noqa: B006
    kms_key: Annotated[
        str, Field(description="Id, ARN or alias of the key", min_length=1, max_length=400)
    ] = AWS_KEY,
    fifo: Annotated[bool, Field(description="Ordered; for queues alone; `.fifo` is added")] = False,
    target: Target = HERE,
) -> Work[Topic]:
    """Create an SNS topic: encrypted, TLS only, delivering to queues and e-mail addresses."""
    a = aws(target)
    wanted = Wanted(f"{name}.fifo" if fifo else name, queue_arns, emails, kms_key)
    if fifo and emails:
        raise BadInputError(
            "emails: a FIFO topic delivers to queues alone; leave them out, or leave out fifo."
        )
    for arn in queue_arns:
        _refuse_foreign(a, arn, fifo=fifo)
    request = Request.of(
        "create_topic", name, to=sorted(e for _, e in wanted.endpoints), key=kms_key, fifo=fifo
    )
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, wanted),
        apply=lambda rec: _apply(a, rec, request, wanted, target),
        verify=lambda made: [
            *judge_topic(made, attempt(lambda: load_topic(a, made.topic_arn)), wanted),
            *(judge_allowed(target, arn, made.topic_arn) for arn in queue_arns),
        ],
        outputs=Topic,
    )


def _refuse_foreign(a: Aws, arn: str, *, fifo: bool) -> None:
    _, partition, _, _, account, name = arn.split(":")
    if (partition, account) != (a.partition, a.account_id):
        raise BadInputError(
            f"{arn} is of another account ({partition} {account}, here {a.partition} "
            f"{a.account_id}): its owner has to subscribe it and to allow the topic."
        )
    if name.endswith(".fifo") and not fifo:
        raise BadInputError(
            f"{arn} is a FIFO queue, which a standard topic cannot deliver to; use another queue, "
            "or fifo."
        )


def load_topic(a: Aws, arn: str) -> dict[str, Any] | None:
    """A topic's attributes with its `Tags` and `Subscriptions`, or None when there is none."""
    sns = a.client("sns")
    found = if_exists(lambda: sns.get_topic_attributes(TopicArn=arn)["Attributes"])
    if found is None:
        return None
    tags = tags_of(sns.list_tags_for_resource(ResourceArn=arn)["Tags"])
    told = a.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)
    return {**found, "Tags": tags, "Subscriptions": told}


def _topic_arn(a: Aws, name: str) -> str:
    return f"arn:{a.partition}:sns:{a.region}:{a.account_id}:{name}"


def _plan(a: Aws, request: Request, wanted: Wanted) -> ChangePlan:
    missing = [arn for arn in wanted.queue_arns if not _queue_url(a, arn)]
    if missing:
        raise BadInputError(f"no such queue: {', '.join(missing)}; create_queue makes one.")
    topic = load_topic(a, _topic_arn(a, wanted.topic))
    detail = f"encrypted, TLS only{', ordered' if wanted.fifo else ''}"
    actions = [Action(verb="create", type=TOPIC, name=wanted.topic, detail=detail)]
    known = []
    if topic is not None:
        request.claim(f"topic {wanted.topic}", topic["Tags"])
        known.append(key(TOPIC, wanted.topic))
    there = {s["Endpoint"] for s in topic["Subscriptions"]} if topic else set()
    for protocol, endpoint in wanted.endpoints:
        detail = "the queue's policy lets the topic send" if protocol == "sqs" else "asked by mail"
        actions.append(Action(verb="create", type="sns:subscription", name=endpoint, detail=detail))
        if endpoint in there:
            known.append(key("sns:subscription", endpoint))
    warnings = []
    if wanted.emails:
        warnings.append(
            "An e-mail address is told nothing until its owner follows the link in AWS's mail, "
            "within 3 days; only then can it be unsubscribed before it expires."
        )
    if wanted.fifo:
        warnings.append(
            "Publishers give each message a MessageGroupId; the same body within five minutes is "
            "delivered once. Standard queues behind it keep neither order nor once."
        )
    if wanted.kms_key == AWS_KEY:
        warnings.append(
            f"The key {AWS_KEY} lets no other AWS service publish (CloudWatch alarms, EventBridge, "
            "S3): for these give kms_key a key whose policy allows them."
        )
    return ChangePlan(
        summary=f"Create topic {wanted.topic} in {a.region}",
        actions=outstanding(actions, known),
        warnings=warnings,
        observed={"known": known},
    )


def _queue_url(a: Aws, arn: str) -> str | None:
    _, _, _, region, account, name = arn.split(":")
    sqs = a.client("sqs", region)
    which = {"QueueName": name, "QueueOwnerAWSAccountId": account}
    url: str | None = if_exists(lambda: sqs.get_queue_url(**which)["QueueUrl"])
    return url


def _apply(a: Aws, rec: Recorder, request: Request, wanted: Wanted, target: AwsTarget) -> Topic:
    sns, name = a.client("sns"), wanted.topic
    arn = _topic_arn(a, name)
    attributes = wanted.attributes(arn, a.account_id)

    def make() -> dict[str, str]:
        if load_topic(a, arn) is None:
            sns.create_topic(Name=name, Attributes=attributes, Tags=request.tag_list(name))
        return {"topic_arn": arn}

    rec.step(
        key(TOPIC, name),
        make,
        undo=[
            aws_undo(
                f"delete topic {name} with its subscriptions", "sns", "delete_topic",
                {"TopicArn": arn}, target=target, region=a.region,
                gone=("get_topic_attributes", {"TopicArn": arn}, "Attributes"),
            )
        ],
        resource=ResourceRef(type=TOPIC, id=arn, name=name),
    )  # fmt: skip
    for protocol, endpoint in wanted.endpoints:
        if protocol == "sqs":
            allow_topic(rec, endpoint, arn, name, target)
        # It goes with the topic, so it needs no undo; subscribing twice gives the same again.
        rec.step(
            key("sns:subscription", endpoint),
            functools.partial(_subscribe, sns, arn, protocol, endpoint),
        )
    if a.is_emulator and wanted.emails:
        rec.gap("The emulator sends no mail and counts every address as confirmed.")
    topic = load_topic(a, arn) or {"Subscriptions": []}
    return Topic(
        topic_arn=arn,
        subscriptions=[
            Subscription(
                endpoint=s["Endpoint"],
                protocol=s["Protocol"],
                confirmed=s["SubscriptionArn"] != PENDING,
            )
            for s in topic["Subscriptions"]
        ],
    )


def _subscribe(sns: Any, topic_arn: str, protocol: str, endpoint: str) -> dict[str, str]:
    made = sns.subscribe(
        TopicArn=topic_arn, Protocol=protocol, Endpoint=endpoint, ReturnSubscriptionArn=True
    )
    return {"subscription_arn": made["SubscriptionArn"]}


def topic_policy(arn: str, account_id: str) -> str:
    """A topic policy: this account's own principals and services publish, over TLS alone.

    SNS takes no `sns:*` in a topic's policy ("action out of service scope"), hence the list.
    """
    owner = {
        "Sid": "Owner",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [
            "SNS:GetTopicAttributes",
            "SNS:ListSubscriptionsByTopic",
            "SNS:Publish",
            "SNS:Subscribe",
        ],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account_id}},
    }
    return policy_document([owner, tls_only("SNS:Publish", arn)])


def judge_topic(made: Topic, topic: dict[str, Any] | Unread | None, wanted: Wanted) -> list[Check]:
    """Whether the topic is what was asked for; a subscription that is pending is there, and said.

    Whether each queue lets the topic send is judged by the queue's policy, which is read apart.
    """
    arn = made.topic_arn
    if topic is None or isinstance(topic, Unread):
        return [check("Topic exists", topic or False, "SNS knows none of that name", arn)]
    policy = json.loads(topic.get("Policy") or "{}")
    sids = {statement.get("Sid") for statement in policy.get("Statement", [])}
    told = {s["Endpoint"]: s["SubscriptionArn"] for s in topic["Subscriptions"]}
    used = topic.get("KmsMasterKeyId", "")
    checks = [
        check("It is encrypted with the key asked for", used == wanted.kms_key, used, arn),
        check("It is published to over TLS alone", "TlsOnly" in sids, "", arn),
    ]
    if wanted.fifo:
        checks.append(check("It keeps the order", topic.get("FifoTopic") == "true", "", arn))
    for _, endpoint in wanted.endpoints:
        state = told.get(endpoint)
        evidence = "waits for its owner's confirmation" if state == PENDING else state or ""
        checks.append(check(f"It tells {endpoint}", state is not None, evidence, arn))
    return checks
