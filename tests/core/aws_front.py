"""A loopback AWS: an emulator behind a front that sees each call, and SSO, which it lacks."""

import functools
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape, StructureShape


def in_seconds(seconds: float) -> str:
    """A time from now, as AWS writes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Call:
    """One request to AWS, in whichever protocol the service speaks."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def action(self) -> str:
        """The operation's name; of S3 and other XML services the method and path."""
        if self.is_query:
            return str(self.sent.get("Action", ""))
        if target := self.headers.get("X-Amz-Target", ""):
            return target.rpartition(".")[2]
        signed = re.search(
            r"Credential=[^/]+/\d+/[^/]+/([\w-]+)/", self.headers.get("Authorization", "")
        )
        found = _rest_operation(signed[1], self.method, self.path) if signed else None
        return found or f"{self.method} {self.path}"

    @property
    def is_query(self) -> bool:
        return "x-www-form-urlencoded" in self.headers.get("Content-Type", "")

    @property
    def sent(self) -> dict[str, Any]:
        """The parameters, as far as the body has them."""
        if self.is_query:
            return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def refused(self, code: str, message: str = "refused") -> "Answer":
        """An error, as the call's protocol has it."""
        if self.is_query:
            error = f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>"
            body = f"<ErrorResponse><Error>{error}</Error></ErrorResponse>"
            return 400, {"Content-Type": "text/xml"}, body.encode()
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
        return 400, headers, json.dumps({"__type": code, "message": message}).encode()


Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


@functools.cache
def _rest_operations(service: str) -> list[tuple[str, str, re.Pattern[str]]]:
    """(name, method, pattern of the path) of a service that speaks JSON over REST."""
    try:
        model = _model(service)
    except UnknownServiceError:
        return []
    if model.metadata["protocol"] != "rest-json":
        return []
    operations = [model.operation_model(name) for name in model.operation_names]
    patterns = [
        re.compile(re.sub(r"\\\{[^}]*\}", "[^/]+", re.escape(op.http["requestUri"])))
        for op in operations
    ]
    return [(op.name, op.http["method"], at) for op, at in zip(operations, patterns, strict=True)]


def _rest_operation(service: str, method: str, path: str) -> str | None:
    plain = urlsplit(path).path
    found = [
        name for name, by, at in _rest_operations(service) if by == method and at.fullmatch(plain)
    ]
    return found[0] if found else None


class Front:
    """Passes calls on to the emulator; `roles` are the seconds that each role session lives."""

    def __init__(self, emulator: str) -> None:
        self.emulator = emulator
        self.role_seconds: list[float] = []
        """For each AssumeRole in turn how long its credentials hold; an hour after the last."""
        self.refused: set[str] = set()
        """Access keys that are expired."""
        self.before_answer: dict[str, Callable[[], object]] = {}
        """Done when the emulator has carried an action out, and its caller does not know it yet.

        ConnectionAbortedError of it leaves the caller without an answer.
        """
        self.connections = 0
        self.signed_by: list[tuple[str, str]] = []
        """(Action, access key) of each call."""
        self.sso_tokens: dict[str, str] = {}
        """Refresh token to the access token it gives."""
        self.sso_calls: list[str] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                front.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/token":
                    self._answer(*front.token(json.loads(body)))
                elif token := self.headers.get("x-amz-sso_bearer_token", ""):
                    self._answer(*front.role_credentials(token))
                else:
                    call = Call(self.command, self.path, dict(self.headers), body)
                    try:
                        self._answer(*front.forward(call))
                    except ConnectionAbortedError:
                        self.close_connection = True

            do_GET = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_POST

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Keep stderr for problems."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def calls(self, action: str) -> list[str]:
        """The access keys that a call was signed with, in order."""
        return [key for made, key in self.signed_by if made == action]

    def forward(self, call: Call) -> Answer:
        """Have the emulator carry a call out, and answer as it does."""
        action = call.action
        key = call.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        self.signed_by.append((action, key))
        if key in self.refused:
            expired = "The security token included in the request is expired"
            return call.refused("ExpiredToken", expired)
        kept = {k: v for k, v in call.headers.items() if k.lower() not in _OF_ITS_HOP}
        url = f"{self.emulator}{call.path}"
        request = urllib.request.Request(url, call.body or None, kept, method=call.method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                status, headers, told = answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, _passed_on(dict(refused.headers)), refused.read()
        if told_before := self.before_answer.get(action):
            told_before()
        if action == "AssumeRole":
            seconds = self.role_seconds.pop(0) if self.role_seconds else 3600
            expires = f"<Expiration>{in_seconds(seconds)}</Expiration>"
            told, changed = re.subn(rb"<Expiration>[^<]+</Expiration>", expires.encode(), told)
            assert changed == 1
        return status, _passed_on(headers), told

    def token(self, request: dict[str, Any]) -> Answer:
        """sso-oidc CreateToken."""
        self.sso_calls.append("CreateToken")
        assert_fits("sso-oidc", "CreateToken", request, "input")
        access = self.sso_tokens.get(request["refreshToken"])
        if access is None:
            assert_is_error("sso-oidc", "CreateToken", "InvalidGrantException")
            body = {"error": "invalid_grant", "error_description": "Invalid refresh token"}
            headers = {"x-amzn-ErrorType": "InvalidGrantException"}
            return 400, {"Content-Type": "application/json", **headers}, json.dumps(body).encode()
        answer = {
            "accessToken": access, "tokenType": "Bearer", "expiresIn": 28_800,
            "refreshToken": request["refreshToken"],
        }  # fmt: skip
        assert_fits("sso-oidc", "CreateToken", answer, "output")
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    def role_credentials(self, token: str) -> Answer:
        """SSO GetRoleCredentials."""
        self.sso_calls.append("GetRoleCredentials")
        if token not in self.sso_tokens.values():
            assert_is_error("sso", "GetRoleCredentials", "UnauthorizedException")
            headers = {"x-amzn-ErrorType": "UnauthorizedException"}
            return 401, {"Content-Type": "application/json", **headers}, b'{"message":"no"}'
        until = int((datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000)
        answer = {
            "roleCredentials": {
                "accessKeyId": f"key-of-{token}", "secretAccessKey": "x", "sessionToken": "y",
                "expiration": until,
            }
        }  # fmt: skip
        assert_fits("sso", "GetRoleCredentials", answer, "output")
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


_OF_ITS_HOP = {"host", "content-length", "connection", "transfer-encoding", "expect"}


def _passed_on(headers: dict[str, str]) -> dict[str, str]:
    own = {*_OF_ITS_HOP, "date", "server"}
    return {name: value for name, value in headers.items() if name.lower() not in own}


def assert_fits(service: str, operation: str, value: dict[str, Any], side: str) -> None:
    """That a message has the shape of botocore's model of the service."""
    model = _model(service).operation_model(operation)
    _assert_shape(model.input_shape if side == "input" else model.output_shape, value, operation)


def assert_is_error(service: str, operation: str, code: str) -> None:
    errors = _model(service).operation_model(operation).error_shapes
    assert code in {shape.name for shape in errors}


@functools.cache
def _model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def _assert_shape(shape: Shape, value: Any, where: str) -> None:
    if isinstance(shape, StructureShape):
        names = {m.serialization.get("name", n): m for n, m in shape.members.items()}
        assert set(value) <= set(names), f"{where}: {set(value) - set(names)}"
        assert set(shape.required_members) <= set(value), where
        for name, inner in value.items():
            _assert_shape(names[name], inner, f"{where}.{name}")
        return
    kinds = {"string": str, "integer": int, "long": int}
    assert isinstance(value, kinds[shape.type_name]), f"{where}: {value!r} is no {shape.type_name}"
