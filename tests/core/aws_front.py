"""A loopback AWS: an emulator behind a front that sees each call, and SSO, which it lacks."""

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape, StructureShape


def in_seconds(seconds: float) -> str:
    """A time from now, as AWS writes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def refusal(code: str, message: str = "refused") -> tuple[int, dict[str, str], bytes]:
    """An error of the query protocol: STS's and EC2's."""
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return 403, {"Content-Type": "text/xml"}, f"<ErrorResponse>{error}</ErrorResponse>".encode()


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
                    return
                try:
                    self._answer(*front.forward(self.path, dict(self.headers), body))
                except ConnectionAbortedError:
                    self.close_connection = True

            def do_GET(self) -> None:
                token = self.headers.get("x-amz-sso_bearer_token", "")
                self._answer(*front.role_credentials(token))

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
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

    def forward(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        action = parse_qs(body.decode()).get("Action", [""])[0]
        key = headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        self.signed_by.append((action, key))
        if key in self.refused:
            return refusal("ExpiredToken", "The security token included in the request is expired")
        kept = {k: v for k, v in headers.items() if k.lower() not in {"host", "content-length"}}
        request = urllib.request.Request(f"{self.emulator}{path}", body, kept)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                told = answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, {"Content-Type": refused.headers["Content-Type"]}, refused.read()
        if told_before := self.before_answer.get(action):
            told_before()
        if action == "AssumeRole":
            seconds = self.role_seconds.pop(0) if self.role_seconds else 3600
            expires = f"<Expiration>{in_seconds(seconds)}</Expiration>"
            told, changed = re.subn(rb"<Expiration>[^<]+</Expiration>", expires.encode(), told)
            assert changed == 1
        return 200, {"Content-Type": "text/xml"}, told

    def token(self, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
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

    def role_credentials(self, token: str) -> tuple[int, dict[str, str], bytes]:
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


def assert_fits(service: str, operation: str, value: dict[str, Any], side: str) -> None:
    """That a message has the shape of botocore's model of the service."""
    model = _model(service).operation_model(operation)
    _assert_shape(model.input_shape if side == "input" else model.output_shape, value, operation)


def assert_is_error(service: str, operation: str, code: str) -> None:
    errors = _model(service).operation_model(operation).error_shapes
    assert code in {shape.name for shape in errors}


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
