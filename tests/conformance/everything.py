"""The server that the official conformance suite asks for, built with `build_server`.

The suite (`@modelcontextprotocol/conformance`) calls tools, resources and prompts by fixed names,
and says what each answers with. Run as a script it is a server's command line.
"""

import asyncio
import base64
import json
import sys
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from fastmcp.prompts import Message
from fastmcp.server.middleware.dereference import DereferenceRefsMiddleware
from fastmcp.tools.function_tool import FunctionTool
from fastmcp.utilities.types import Audio, Image
from mcp.server.subscriptions import PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY
from pydantic import BaseModel, Field

from opswright_core import cli
from opswright_core.errors import OpswrightError
from opswright_core.runtime import runtime
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import read_tool

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8BQDwAEgAF/pooBPQAAAABJRU5ErkJggg=="
)
SILENCE = (
    b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x44\xac\0\0\x88\x58\1\0\2\0\x10\0data\2\0\0\0\0\0"
)
Text = Annotated[str, Field(description="Any text")]


def text_resource(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(
        type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    )


# Content of every kind.


@read_tool
def test_simple_text() -> str:
    """Answer with text."""
    return "This is a simple text response for testing."


@read_tool
def test_image_content() -> Image:
    """Answer with an image."""
    return Image(data=PNG, format="png")


@read_tool
def test_audio_content() -> Audio:
    """Answer with sound."""
    return Audio(data=SILENCE, format="wav")


@read_tool
def test_embedded_resource() -> list[Any]:
    """Answer with an embedded resource."""
    text = "This is an embedded resource content."
    return [text_resource("test://embedded-resource", "text/plain", text)]


@read_tool
def test_multiple_content_types() -> list[Any]:
    """Answer with content of several kinds."""
    return [
        TextContent(type="text", text="Multiple content types test:"),
        Image(data=PNG, format="png").to_image_content(),
        text_resource(
            "test://mixed-content-resource", "application/json", '{"test":"data","value":123}'
        ),
    ]


@read_tool
def test_error_handling() -> str:
    """Fail."""
    raise OpswrightError("This tool intentionally returns an error for testing")


# What a server sends while a tool runs.


@read_tool
async def test_tool_with_logging(ctx: Context) -> str:
    """Log three times."""
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(message)
        await asyncio.sleep(0.05)
    return "logged"


@read_tool
async def test_logging_tool(ctx: Context) -> str:
    """Log once."""
    await ctx.info("only for clients that asked for it")
    return "logged"


@read_tool
async def test_tool_with_progress(ctx: Context) -> str:
    """Report progress three times."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await asyncio.sleep(0.05)
    return "done"


@read_tool
async def test_trigger_tool_change() -> str:
    """Say that the list of tools changed."""
    runtime().subscriptions.announce(ToolsListChanged())
    return "said"


@read_tool
async def test_trigger_prompt_change() -> str:
    """Say that the list of prompts changed."""
    runtime().subscriptions.announce(PromptsListChanged())
    return "said"


# What a server asks its client, up to 2025-11-25.


class Person(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


@read_tool
async def test_sampling(prompt: Text, ctx: Context) -> str:
    """Ask the client's model."""
    messages = [SamplingMessage(role="user", content=TextContent(type="text", text=prompt))]
    answer = await ctx.session.create_message(
        messages, max_tokens=100, related_request_id=ctx.request_id
    )
    return f"LLM response: {answer.content}"


@read_tool
async def test_elicitation(message: Text, ctx: Context) -> str:
    """Ask the client's user."""
    return f"User response: {await ctx.elicit(message, Person)}"


async def _ask(ctx: Context, properties: dict[str, Any]) -> str:
    answer = await ctx.session.elicit(
        message="Please fill in the form",
        requested_schema={"type": "object", "properties": properties, "required": []},
        related_request_id=ctx.request_id,
    )
    return f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}"


@read_tool
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Ask with a default for each primitive type."""
    return await _ask(
        ctx,
        {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {
                "type": "string",
                "enum": ["active", "inactive", "pending"],
                "default": "active",
            },
            "verified": {"type": "boolean", "default": True},
        },
    )


def _titled(*titles: str) -> list[dict[str, str]]:
    return [{"const": f"value{n}", "title": title} for n, title in enumerate(titles, 1)]


@read_tool
async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Ask with each kind of choice."""
    options = ["option1", "option2", "option3"]
    return await _ask(
        ctx,
        {
            "untitledSingle": {"type": "string", "enum": options},
            "titledSingle": {
                "type": "string",
                "oneOf": _titled("First Option", "Second Option", "Third Option"),
            },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
            "titledMulti": {
                "type": "array",
                "items": {"anyOf": _titled("First Choice", "Second Choice", "Third Choice")},
            },
        },
    )


# The same from 2026-07-28: the tool ends with what it needs, and is called again with the answers.


def elicit(message: str, **properties: str) -> ElicitRequest:
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(text: str, max_tokens: int) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(
        params=CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    )


def needs(state: str | None = None, **requests: Any) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def given(ctx: Context, *keys: str) -> dict[str, Any] | None:
    """The client's answers by key, or None while one is missing."""
    answers = ctx.input_responses or {}
    return {key: answers[key] for key in keys} if set(keys) <= set(answers) else None


@read_tool
async def test_input_required_result_elicitation(ctx: Context) -> Any:
    """Ask for a name."""
    answers = given(ctx, "user_name")
    who = answers["user_name"] if answers else None
    if not isinstance(who, ElicitResult) or not who.content:
        return needs(user_name=elicit("What is your name?", name="string"))
    return f"Hello, {who.content.get('name')}!"


@read_tool
async def test_streaming_elicitation(ctx: Context) -> Any:
    """Ask for a name over a stream."""
    await ctx.report_progress(0, 1)
    return needs(user_name=elicit("What is your name?", name="string"))


@read_tool
async def test_input_required_result_sampling(ctx: Context) -> Any:
    """Ask the client's model for a capital."""
    answers = given(ctx, "capital_question")
    if not answers:
        return needs(capital_question=sample("What is the capital of France?", 100))
    return f"{answers['capital_question'].content}"


@read_tool
async def test_input_required_result_list_roots(ctx: Context) -> Any:
    """Ask for the client's roots."""
    answers = given(ctx, "client_roots")
    if not answers:
        return needs(client_roots=ListRootsRequest())
    return ", ".join(str(root.uri) for root in answers["client_roots"].roots)


@read_tool
async def test_input_required_result_request_state(ctx: Context) -> Any:
    """Ask, and recognise the state that comes back."""
    if not given(ctx, "confirm"):
        return needs("asked", confirm=elicit("Please confirm", ok="boolean"))
    return "state-ok" if ctx.request_state == "asked" else "another state"


@read_tool
async def test_input_required_result_tampered_state(ctx: Context) -> Any:
    """Ask with a state that must not be altered."""
    if not given(ctx, "confirm"):
        return needs("sealed", confirm=elicit("Please confirm", ok="boolean"))
    return "accepted"


@read_tool
async def test_input_required_result_multiple_inputs(ctx: Context) -> Any:
    """Ask three things at once."""
    if not given(ctx, "user_name", "greeting", "client_roots"):
        return needs(
            "asked",
            user_name=elicit("What is your name?", name="string"),
            greeting=sample("Generate a greeting", 50),
            client_roots=ListRootsRequest(),
        )
    return "all given"


@read_tool
async def test_input_required_result_multi_round(ctx: Context) -> Any:
    """Ask twice, one after the other."""
    if ctx.request_state == "second" and given(ctx, "step2"):
        return "both given"
    if ctx.request_state in {"first", "second"} and given(ctx, "step1"):
        return needs("second", step2=elicit("Step 2: What is your favorite color?", color="string"))
    return needs("first", step1=elicit("Step 1: What is your name?", name="string"))


@read_tool
async def test_input_required_result_capabilities(ctx: Context) -> Any:
    """Ask only what the client said it can answer."""
    able = ctx.session.client_capabilities
    requests: dict[str, Any] = {}
    if able and able.sampling is not None:
        requests["greeting"] = sample("Generate a greeting", 50)
    if able and able.elicitation is not None:
        requests["user_name"] = elicit("What is your name?", name="string")
    return needs(**requests) if requests else "nothing can be asked"


@read_tool
async def test_missing_capability(ctx: Context) -> str:
    """Refuse a client that cannot sample."""
    able = ctx.session.client_capabilities
    if able is None or able.sampling is None:
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "this tool needs sampling",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return "the client can sample"


@read_tool
def test_custom_header(
    region: Annotated[
        str, Field(description="Mirrored in a header", json_schema_extra={"x-mcp-header": "Region"})
    ],
) -> str:
    """Take an argument that is mirrored in an HTTP header."""
    return region


DIALECT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


async def _any_contact(name: str = "", phone: str = "", email: str = "") -> str:
    return f"{name} {phone} {email}"


def create_server(settings: Settings) -> FastMCP[Any]:
    mcp = build_server(
        "everything",
        title="Everything",
        instructions="Answers the conformance suite.",
        settings=settings,
        tools=[
            test_simple_text, test_image_content, test_audio_content, test_embedded_resource,
            test_multiple_content_types, test_error_handling, test_tool_with_logging,
            test_logging_tool, test_tool_with_progress, test_trigger_tool_change,
            test_trigger_prompt_change, test_sampling, test_elicitation,
            test_elicitation_sep1034_defaults, test_elicitation_sep1330_enums,
            test_input_required_result_elicitation, test_input_required_result_sampling,
            test_input_required_result_list_roots, test_input_required_result_request_state,
            test_input_required_result_tampered_state,
            test_input_required_result_multiple_inputs, test_input_required_result_multi_round,
            test_input_required_result_capabilities, test_streaming_elicitation,
            test_missing_capability, test_custom_header,
        ],
    )  # fmt: skip
    mcp.add_tool(
        FunctionTool(
            fn=_any_contact,
            name="json_schema_2020_12_tool",
            description="Tool with JSON Schema 2020-12 features",
            parameters=DIALECT,
        )
    )
    # Schemas are listed with their $refs resolved, for hosts that cannot; the suite wants its own
    # one as it was written.
    mcp.middleware = [m for m in mcp.middleware if not isinstance(m, DereferenceRefsMiddleware)]
    _add_resources(mcp)
    _add_prompts(mcp)
    return mcp


def _add_resources(mcp: FastMCP[Any]) -> None:
    @mcp.resource("test://static-text", mime_type="text/plain", description="Text")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @mcp.resource("test://static-binary", mime_type="image/png", description="An image")
    def static_binary() -> bytes:
        return PNG

    @mcp.resource("test://watched-resource", mime_type="text/plain", description="Watched")
    def watched() -> str:
        return "Watched resource content."

    @mcp.resource("test://template/{id}/data", mime_type="application/json", description="By id")
    def template(id: str) -> str:
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _add_prompts(mcp: FastMCP[Any]) -> None:
    @mcp.prompt
    def test_simple_prompt() -> str:
        """A prompt without arguments."""
        return "This is a simple prompt for testing."

    @mcp.prompt
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """A prompt with two arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @mcp.prompt
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:
        """A prompt with an embedded resource."""
        text = "Embedded resource content for testing."
        return [
            Message(text_resource(resourceUri, "text/plain", text)),
            Message("Please process the embedded resource above."),
        ]

    @mcp.prompt
    def test_prompt_with_image() -> list[Message]:
        """A prompt with an image."""
        image: ImageContent = Image(data=PNG, format="png").to_image_content()
        return [Message(image), Message("Please analyze the image above.")]

    @mcp.prompt
    async def test_input_required_result_prompt(ctx: Context) -> Any:
        """A prompt that asks first."""
        answers = given(ctx, "user_context")
        if not answers:
            question = "What context should the prompt use?"
            return needs(user_context=elicit(question, context="string"))
        return f"Use this context: {answers['user_context'].content}"

    @mcp.completion
    def complete(_reference: Any, argument: Any, _context: Any) -> list[str]:
        return [v for v in ("paris", "park", "party") if v.startswith(argument.value)]


if __name__ == "__main__":
    sys.exit(cli.main(create_server, "everything"))
