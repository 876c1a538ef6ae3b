"""Whatever a tool is called with, it says what is wrong: never a mask, never a traceback."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from tests.integration.servers import SERVERS, client_of_server

from opswright_core.canonical import size_bytes
from opswright_core.pages import BUDGET_BYTES
from opswright_core.settings import Settings

every_server = pytest.mark.parametrize("name", SERVERS)
EXAMPLES = 40
OVERLONG = "x" * 100_000
CONTROLS = "a\x00b\x1b[31m\u202ec\nd"
FOREIGN = [
    "arn:aws-cn:elasticloadbalancing:cn-north-1:1:targetgroup/a/1",
    "arn:aws-us-gov:iam::123456789012:policy/a",
]
WRONG_TYPES: list[Any] = [-1.5, "", [[1]], {"a": {"b": 1}}]
_OPAQUE = re.compile(r"Error calling tool|Traceback|File \"|object at 0x|\bNoneType\b")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]")


class Asked:
    """A client of a server over an empty account; `call` fails the test on an opaque answer."""

    def __init__(self, tools: dict[str, dict[str, Any]], send: Callable[..., Any]) -> None:
        self.tools = tools
        self._send = send

    def call(self, tool: str, arguments: dict[str, Any]) -> Any:
        """The answer to a call, which changes nothing where that can be asked for."""
        if "dry_run" in self.tools[tool]["properties"]:
            arguments = {"dry_run": True, **arguments}
        answer = self._send(tool, arguments)
        text = "".join(getattr(block, "text", "") for block in answer.content)
        said = f"{tool}({str(arguments)[:300]}): {text[:600]}"
        assert not _OPAQUE.search(text if answer.is_error else ""), said
        if answer.is_error:
            assert len(text) > 15, said
            assert len(text.encode()) <= BUDGET_BYTES, said
            assert not _CONTROL.search(text), said
        else:
            assert size_bytes(answer.structured_content) <= BUDGET_BYTES, said
        return answer

    def refused(self, tool: str, arguments: dict[str, Any]) -> str:
        """What a call that must be refused is answered."""
        answer = self.call(tool, arguments)
        assert answer.is_error, f"{tool}({str(arguments)[:300]}) was accepted"
        text: str = answer.content[0].text
        return text


@pytest.fixture
def asked(
    name: str, cloud: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Asked]:
    monkeypatch.setenv("OPSWRIGHT_OSV_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with start_blocking_portal() as portal:
        opened = client_of_server(name, settings, approvals="deny")
        with portal.wrap_async_context_manager(opened) as client:
            tools = {t.name: t.input_schema for t in portal.call(client.list_tools)}
            yield Asked(
                tools,
                lambda tool, arguments: portal.call(
                    partial(client.call_tool, tool, arguments, raise_on_error=False)
                ),
            )


def plausible(schema: dict[str, Any]) -> dict[str, Any]:
    """Arguments that pass a schema: the required ones, as small as they may be."""
    return {
        name: _BY_NAME.get(name) or _least(schema["properties"][name])
        for name in schema.get("required", [])
    }


def _least(schema: dict[str, Any]) -> Any:
    if "anyOf" in schema:
        return _least(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "string":
            return _PLAUSIBLE.get(schema.get("pattern", ""), "a-name")
        case "integer" | "number":
            return max(schema.get("minimum", 1), 1)
        case "boolean":
            return False
        case "array":
            return [_least(schema["items"])] * schema.get("minItems", 1)
        case "object":
            return plausible(schema) if "properties" in schema else {}
    return "value"


_BY_NAME = {"service": "sqs", "operation": "ListQueues"}

_PLAUSIBLE = {
    r"^db\.": "db.t4g.medium",
    r"^vpc-[0-9a-f]+$": "vpc-0a1b2c3d",
    r"^sg-[0-9a-f]+$": "sg-0a1b2c3d",
    r"^i-[0-9a-f]+$": "i-0a1b2c3d",
    r"^vol-[0-9a-f]{8,17}$": "vol-0a1b2c3d",
    r"^eipalloc-[0-9a-f]{8,17}$": "eipalloc-0a1b2c3d",
    r"^[0-9a-f]{64}$": "0" * 64,
    r"^arn:[a-z-]+:elasticloadbalancing:": FOREIGN[0],
    r"^[^@\s]{1,64}@[^@\s]{3,180}$": "team@example.com",
    r"^[a-z0-9][a-z0-9._/-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*$": "app:1.0",
    "^/": "/healthz",
}


def _takes_text(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "string" and "enum" not in schema


@every_server
def test_an_empty_account_and_names_of_nothing_are_answered(name: str, asked: Asked) -> None:
    for tool, schema in asked.tools.items():
        asked.call(tool, plausible(schema))


@every_server
def test_a_missing_argument_is_named(name: str, asked: Asked) -> None:
    for tool, schema in asked.tools.items():
        for missing in schema.get("required", []):
            arguments = {k: v for k, v in plausible(schema).items() if k != missing}
            assert f"{missing} is required" in asked.refused(tool, arguments)


@every_server
def test_an_unknown_argument_is_named(name: str, asked: Asked) -> None:
    for tool, schema in asked.tools.items():
        text = asked.refused(tool, {**plausible(schema), "nonsense": 1})
        assert f"nonsense is not an argument of {tool}" in text
        assert len(asked.refused(tool, {**plausible(schema), OVERLONG: 1})) < 1_000


@every_server
def test_a_wrong_type_is_told(name: str, asked: Asked) -> None:
    for tool, schema in asked.tools.items():
        for argument in schema["properties"]:
            if argument == "dry_run":
                continue
            for wrong in WRONG_TYPES:
                asked.call(tool, {**plausible(schema), argument: wrong})


@every_server
def test_overlong_odd_and_foreign_texts_are_answered(name: str, asked: Asked) -> None:
    for tool, schema in asked.tools.items():
        for argument, its in schema["properties"].items():
            texts = [
                OVERLONG,
                "x" * 300,
                CONTROLS,
                "~nobody-here/x",
                "/root/" + "y/" * 90,
                *FOREIGN,
            ]
            for text in texts if _takes_text(its) else []:
                asked.call(tool, {**plausible(schema), argument: text})
            if its.get("type") == "array" and _takes_text(its.get("items", {})):
                for many in ([CONTROLS] * 3, [OVERLONG], FOREIGN, ["x"] * 5_000):
                    asked.call(tool, {**plausible(schema), argument: many})


TARGETS: list[tuple[dict[str, str], str]] = [
    ({"region": "nowhere"}, "not an AWS region"),
    ({"profile": "nobody"}, "profiles here: none"),
    ({"account": "1"}, "target.account is not an argument"),
    ({"profile": "x" * 201}, "at most 200"),
]


@every_server
def test_a_target_that_cannot_be_is_refused(name: str, asked: Asked) -> None:
    for tool, schema in asked.tools.items():
        for target, words in TARGETS if "target" in schema["properties"] else []:
            answer = asked.call(tool, {**plausible(schema), "target": target})
            if tool not in _LOOKS_ELSEWHERE_FIRST:
                assert answer.is_error, tool
                assert words in answer.content[0].text, (tool, answer.content[0].text)


_LOOKS_ELSEWHERE_FIRST = {
    "build_release": "the repository",
    "check_quota": "what is to be built",
    "compare_pricing_models": "its own prices",
    "configure_bucket": "its arguments",
    "configure_queue": "its arguments",
    "diagnose_web_tier": "its arguments",
    "estimate_monthly_cost": "its own prices",
    "explain_policy": "the policy's text",
    "restore_database": "its arguments",
    "review_application": "its arguments",
    "review_template": "the template",
    "set_scaling": "its arguments",
    "update_auto_scaling_group": "its arguments",
    "update_container_service": "its arguments",
    "update_database": "its arguments",
    "update_function": "its arguments",
}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=5,
)


def fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a JSON schema describes, as far as the servers' schemas go."""
    if "anyOf" in schema:
        return st.one_of([fitting(option) for option in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    match schema.get("type"):
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"])
        case "string":
            return st.text(min_size=schema.get("minLength", 0), max_size=60)
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.floats(schema.get("minimum", 0), schema.get("maximum", 1e6))
        case "boolean":
            return st.booleans()
        case "array":
            least = schema.get("minItems", 0)
            return st.lists(fitting(schema["items"]), min_size=least, max_size=least + 2)
        case "object" if "properties" in schema:
            return arguments_of(schema)
        case "object":
            return st.dictionaries(st.text(max_size=10), _JSON, max_size=3)
    return _JSON


def arguments_of(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments that fit a schema, now and then with one that does not."""
    required = set(schema.get("required", []))
    fields = {
        name: st.one_of(fitting(inner), fitting(inner), fitting(inner), _JSON)
        for name, inner in schema["properties"].items()
        if name != "dry_run"
    }
    return st.fixed_dictionaries(
        {name: values for name, values in fields.items() if name in required},
        optional={name: values for name, values in fields.items() if name not in required},
    )


@every_server
@bounded(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_no_arguments_find_an_opaque_error(name: str, asked: Asked, data: Any) -> None:
    tool = data.draw(st.sampled_from(sorted(asked.tools)))
    asked.call(tool, data.draw(arguments_of(asked.tools[tool])))
