"""A loopback server that speaks the Messages API from a script, to test the agent without a model.

The real SDK runs against it: set `ANTHROPIC_BASE_URL` and a dummy `ANTHROPIC_API_KEY` (see
`environment`). A script is a list of turns; a turn is a `Reply`, or a function that looks at the
request and returns one. A request after the last turn is answered with HTTP 400.
"""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal

StopReason = Literal["end_turn", "tool_use", "max_tokens", "refusal"]


@dataclass(frozen=True)
class Reply:
    """One answer of the API: content blocks, or an error when `status` is not 200."""

    content: tuple[dict[str, Any], ...] = ()
    stop_reason: StopReason = "end_turn"
    input_tokens: int = 100
    output_tokens: int = 10
    status: int = 200
    error_type: str = ""


Turn = Reply | Callable[[dict[str, Any]], Reply]


def says(text: str, stop_reason: StopReason = "end_turn") -> Reply:
    """An answer in words; with `stop_reason` also one that was refused or cut."""
    return Reply(({"type": "text", "text": text},), stop_reason)


def calls(*tools: tuple[str, dict[str, Any]], input_tokens: int = 100) -> Reply:
    """An answer that calls tools, several of them in parallel."""
    blocks = [
        {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}
        for number, (name, arguments) in enumerate(tools)
    ]
    return Reply(tuple(blocks), "tool_use", input_tokens)


def reports(summary: str, **outcome: Any) -> Reply:
    """The call of `report` that concludes a task."""
    return calls(("report", {"summary": summary, **outcome}))


def fails(status: int, error_type: str) -> Reply:
    """An HTTP error, like `fails(529, "overloaded_error")`."""
    return Reply(status=status, error_type=error_type)


def tool_results(request: dict[str, Any]) -> list[str]:
    """The texts of the tool results in a request's last message."""
    last = request["messages"][-1]["content"]
    blocks = [b for b in last if isinstance(b, dict) and b["type"] == "tool_result"]
    return [_text_of(block["content"]) for block in blocks]


@dataclass
class ScriptedModel:
    """The server, as a context manager; `requests` are the bodies it was sent, in order."""

    turns: Sequence[Turn]
    requests: list[dict[str, Any]] = field(default_factory=list)
    _server: ThreadingHTTPServer = field(init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __enter__(self) -> "ScriptedModel":
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                known = self.path.partition("?")[0] == "/v1/messages"
                reply = model.answer(body) if known else fails(404, "not_found_error")
                payload = json.dumps(_wire(reply, body)).encode()
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.send_header("Retry-After-Ms", "1")
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: Any) -> None:
                """Keep stderr for problems."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens: 127.0.0.1 and a free port."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self) -> dict[str, str]:
        """The variables that send the SDK here and nowhere else."""
        return {"ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": "scripted"}

    def answer(self, request: dict[str, Any]) -> Reply:
        """Record a request and take the next turn."""
        with self._lock:
            self.requests.append(request)
            number = len(self.requests) - 1
        if number >= len(self.turns):
            return fails(400, "invalid_request_error")
        turn = self.turns[number]
        return turn if isinstance(turn, Reply) else turn(request)


def _wire(reply: Reply, request: dict[str, Any]) -> dict[str, Any]:
    if reply.status != 200:
        error = {"type": reply.error_type, "message": f"scripted {reply.error_type}"}
        return {"type": "error", "error": error}
    return {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": list(reply.content),
        "stop_reason": reply.stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)
