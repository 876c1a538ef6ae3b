"""Which tool a clause of a request asks for: BM25 over the catalogue, held to the clause's verb."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from opswright.clauses import Clause
from opswright.planners.words import without_values
from opswright.registry import Agent, ToolInfo
from opswright.router import COMMON_TOOLS
from opswright_core.search import Ranker, tokens

LEAST_COVERAGE = 0.5
"""Share of a clause's weight that a tool's own words must cover to be what it asks for; the names,
ids, paths, versions and numbers in it say nothing about that and do not count."""

_QUESTION_WORDS = """
    are can could did do does how is list show tell was were what when where which who why
"""
_MAKING_WORDS = """
    add allow assign associate attach bring build change create deploy enable fix give install
    launch limit make mark modify notify open pack package provision put remember require roll send
    set ship start tag turn update upload warn write
"""
_ALTERING_WORDS = """
    copy encrypt expand extend grow host import increase migrate move patch point promote publish
    reboot rename resize restart restore rotate scale shrink switch transfer upgrade
"""
_TAKING_WORDS = """
    block clean close cut decommission delete destroy detach disable drain drop empty kill purge
    reduce release remove replace restrict revert revoke rollback shut stop tear terminate undo wipe
"""
_ARTICLES = frozenset({"a", "an", "the"})
_PARTICLES = frozenset({"up", "out", "off", "down", "please", "also", "into"})
_QUESTIONS = frozenset(_QUESTION_WORDS.split())
_ALTERING, _TAKING = frozenset(_ALTERING_WORDS.split()), frozenset(_TAKING_WORDS.split())
_ADDING = frozenset(_MAKING_WORDS.split()) | _ALTERING
_CHANGING = _ADDING | _TAKING

OF_A_VERB = 1.25
"""How much more a tool is asked for by its own verb."""


@dataclass(frozen=True)
class Goal:
    """A tool that a clause asks for, and how well it fits."""

    agent: str
    tool: ToolInfo
    score: float


def orders(agents: Mapping[str, Agent]) -> frozenset[str]:
    """The verbs that order a change of this team: the usual ones, and those of its own words.

    Its own are the first words of its changing tools' names and of its changing skills' examples
    («host a static website», «restore the database»), less those that its reads begin with too.
    """
    said: dict[bool, set[str]] = {True: set(), False: set()}
    for agent in agents.values():
        for tool in agent.tools.values():
            if tool.name not in COMMON_TOOLS and tool.risk != "record":
                said[tool.risk != "read"].add(tool.name.partition("_")[0])
        for skill in agent.card.get("skills", []):
            said[skill["risk"] != "read"].update(
                word for example in skill["examples"] for word in words_of(example)[:1]
            )
    return _CHANGING | (said[True] - said[False] - _QUESTIONS - _ARTICLES)


def words_of(text: str) -> list[str]:
    """A request's words in lower case; a «please» at its beginning is none of them."""
    return re.findall(r"[a-z]+", text.lower().removeprefix("please "))


def does(text: str, description: str) -> bool:
    """Whether what is described may be what a text orders.

    «make» and «add» may ask for anything that is made; «scale» or «restore» only for what says so.
    """
    altering = _ALTERING.intersection(words_of(text)[:1])
    return not altering or not set(tokens(" ".join(altering))).isdisjoint(tokens(description))


def asks_for_change(text: str, verbs: Collection[str]) -> bool:
    """Whether a text orders a change: it has one of the verbs (`orders`) and is no question."""
    words = words_of(text)
    return bool(words) and words[0] not in _QUESTIONS and not set(verbs).isdisjoint(words)


class Goals:
    """The tools of a team, ready to be asked for."""

    def __init__(self, agents: Mapping[str, Agent]) -> None:
        self._tools = {
            f"{agent.name}/{tool.name}": (agent.name, tool)
            for agent in agents.values()
            for tool in agent.tools.values()
            if tool.name not in COMMON_TOOLS
        }
        self._orders = orders(agents)
        self._ranker = Ranker(
            {
                key: (
                    name := tool.name.replace("_", " "),
                    name,
                    tool.description,
                    *_said(tool, agents[agent]),
                )
                for key, (agent, tool) in self._tools.items()
            }
        )

    @property
    def verbs(self) -> frozenset[str]:
        """The verbs that the tools' names begin with."""
        return frozenset(tool.name.split("_")[0] for _, tool in self._tools.values())

    def of(self, clause: Clause) -> list[Goal]:
        """The tools that a clause may ask for, best first.

        A clause that orders a change asks for a change, one that goes the same way (nothing is
        taken away where something is to be made) and that says of itself what the clause names.
        """
        words = re.findall(r"[a-z]+", clause.text.lower())
        plain = without_values(clause.text)
        verbs = self._orders | _QUESTIONS | _PARTICLES | self.verbs
        topic = " ".join(w for w in re.findall(r"[\w-]+", plain) if w.lower() not in verbs)
        on_topic = {hit.key: hit for hit in self._ranker.rank(topic)}
        changes = bool(words) and words[0] in self._orders
        found = []
        for hit in self._ranker.rank(plain):
            agent, tool = self._tools[hit.key]
            verb, about = tool.name.split("_")[0], on_topic.get(hit.key)
            if about is None or max(hit.coverage, about.coverage) < LEAST_COVERAGE:
                continue
            if tool.risk == "read":
                may = not changes
            elif tool.risk == "record":
                may = verb in words
            else:
                same_way = verb in words or not (
                    _TAKING if verb in _TAKING else _ADDING
                ).isdisjoint(words)
                may = asks_for_change(clause.text, self._orders) and same_way and _says(tool, topic)
                may = may and does(clause.text, f"{tool.name} {tool.description}")
            if may:
                found.append(Goal(agent, tool, hit.score * (OF_A_VERB if verb in words else 1.0)))
        return sorted(found, key=lambda goal: (-goal.score, goal.agent, goal.tool.name))


def _says(tool: ToolInfo, topic: str) -> bool:
    """Whether a tool's name or first line has a word of the topic."""
    first_line = tool.description.partition("\n")[0]
    return not set(tokens(f"{tool.name} {first_line}")).isdisjoint(tokens(topic))


def _said(tool: ToolInfo, agent: Agent) -> list[str]:
    """How people ask for a tool: the examples of its agent's skills on the same topic and risk."""
    reads, topic = tool.risk == "read", _topic(tool.name)
    return [
        text
        for skill in agent.card.get("skills", [])
        if topic and (skill["risk"] == "read") == reads and topic <= _topic(skill["name"])
        for text in (skill["name"].replace("_", " "), *skill["examples"])
    ]


def _topic(name: str) -> set[str]:
    """The words of a name after its verb."""
    return set(tokens(" ".join(name.split("_")[1:])))
