"""SQLite and PostgreSQL answer alike, whatever is recorded and asked, in whichever order."""

import random
from collections.abc import Callable
from typing import Any

from fastmcp import Client
from tests.knowledge.conftest import Clock

from opswright_core.settings import Settings
from opswright_knowledge.server import create_server

WORDS = (
    "payments", "pay", "Ünï", "e\u0301", "web-1", "a/b", "x_y", "eu-west-1", "run", "running",
    "1.5", "%", "日本", "o'neil", '"q"', "ﬁx", "İ", "ß",
)  # fmt: skip
AGENTS = ("a", "b", "c", "*x")
TYPES = ("ec2:vpc", "ec2:subnet", "x/y")
Asked = tuple[str, dict[str, Any]]


class Walk:
    """A random walk through the tools, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.one = self._random.choice
        self._step = 0

    def step(self) -> Asked:
        made: Callable[[], Asked] = self.one((self.record, self.write, self.find, self.find))
        return made()

    def record(self) -> Asked:
        resources = [self._resource() for _ in range(self._random.randrange(1, 6))]
        return "record_resources", {"resources": resources, **self._by()}

    def write(self) -> Asked:
        place = {"application": self.one(("shop", "a/b")), "environment": self.one(("prod", "x"))}
        memory = {"text": self._text(), "kind": self.one(("fact", "pattern"))}
        told = {"sender": self.one(AGENTS), "recipient": self.one((*AGENTS, "*"))}
        tool, asked = self.one(
            (
                ("mark_deleted", {"resources": [{"type": self.one(TYPES), "id": self._id()}]}),
                ("record_deployment", {**place, "version": "v1", "status": "failed"}),
                ("record_deployment", {**place, "version": self.one("123")}),
                ("remember", {"agent": self.one((*AGENTS, "*")), "memories": [memory] * 2}),
                ("remember", {"agent": "a", "memories": [{**memory, "ttl_seconds": 60}]}),
                ("set_context", {"scope": self.one(WORDS), "key": self.one(WORDS), "value": [1]}),
                ("send_message", {**told, "content": self.one(WORDS)}),
                ("prune_records", {"older_than_days": 1, "dry_run": False}),
            )
        )
        return tool, {**asked, **self._by()}

    def find(self) -> Asked:
        filters = {
            "type": self.one(TYPES), "id": self._id(), "query": self.one(WORDS)[:3],
            "tag": self.one(("team", f"team={self.one(WORDS)}")), "status": "running",
            "attribute": self.one(("on=true", "on=1", "on", "net.work.p=true", "size=2.5")),
            "region": "eu-west-1", "related_to": self._id(),
        }  # fmt: skip
        some = {name: v for name, v in filters.items() if self._random.random() < 0.2}
        only = {"agent": self.one(AGENTS), "kind": self.one(("memory", "resource"))}
        way = {"direction": self.one(("in", "out", "both")), "depth": 3}
        asked: Asked = self.one(
            (
                ("find_resources", some), ("find_resources", some), ("find_resources", some),
                ("walk_relations", {"id": self._id(), **way}),
                ("walk_relations", {"id": self._id(), "to": self._id()}),
                ("list_deployments", {"environment": "prod"}), ("list_running_versions", {}),
                ("list_running_versions", {"environment": "prod"}),
                ("recall", {"query": self._text()}), ("get_context", {"scope": self.one(WORDS)}),
                ("read_messages", {"recipient": self.one(AGENTS)}),
                ("changes_since", {"revision": 9, **only}),
                ("changes_since", {"agent": "a", "newest_first": True}), ("export_records", {}),
            )
        )  # fmt: skip
        return asked

    def _resource(self) -> dict[str, Any]:
        fields = {
            "arn": f"arn:{self.one('123')}", "name": self._text(), "region": "eu-west-1",
            "status": self.one(("running", "run")), "tags": {"team": self.one(WORDS)},
            "attributes": {
                "on": self.one((True, False, 1, 0, "true", None, self.one(WORDS))),
                "size": self.one((1, 2.5, "2.5", True)), "net.work": {"p": True},
            },
            "relations": [{"kind": "in", "to": self.one((self._id(), "arn:1"))}],
        }  # fmt: skip
        some = {name: v for name, v in fields.items() if self._random.random() < 0.6}
        return {"type": self.one(TYPES), "id": self._id(), **some}

    def _id(self) -> str:
        return f"r-{self._random.randrange(12)}"

    def _text(self) -> str:
        return " ".join(self.one(WORDS) for _ in range(self._random.randrange(1, 5)))

    def _by(self) -> dict[str, Any]:
        self._step += 1
        run = {"run_id": f"run-{self.one('12')}", "step": f"s{self._step}"}  # so ids are the same
        return {"by": {"agent": self.one(AGENTS), **run}}


async def test_both_databases_answer_alike(
    settings: Settings, clock: Clock, postgres_url: str
) -> None:
    sqlite_url = f"sqlite:///{settings.state_dir / 'alike.db'}"
    walk = Walk(7)
    async with (
        Client(create_server(settings, sqlite_url, clock)) as one,
        Client(create_server(settings, postgres_url, clock)) as other,
    ):
        for number in range(250):
            clock.forward(minutes=number % 3)
            if number % 60 == 59:
                clock.forward(days=1)
            tool, asked = walk.step()
            told = [await _told(client, tool, asked) for client in (one, other)]
            assert told[0] == told[1], (number, tool, asked)


async def _told(client: Any, tool: str, asked: dict[str, Any]) -> Any:
    result = await client.call_tool(tool, asked, raise_on_error=False)
    if result.is_error:
        return result.content[0].text
    answer = result.structured_content
    if tool == "recall":  # PostgreSQL weighs by the mean length of what matches
        return answer["total"], {item["memory_id"] for item in answer["items"]}
    return answer
