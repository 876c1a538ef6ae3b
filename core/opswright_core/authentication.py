"""Who may call over HTTP: holders of a named bearer token, or of a JWT from a known issuer."""

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opswright_core.errors import BadInputError
from opswright_core.namespaces import CLAIM, EVERY, named

if TYPE_CHECKING:
    from fastmcp.server.auth import AuthProvider

log = logging.getLogger(__name__)

LEAST_CHARACTERS = 20
"""Shorter tokens are refused as guessable; `openssl rand -hex 32` makes a good one."""

_TOKEN = re.compile(r"([\w.@-]{1,64}):([\x21-\x7e]+)((?:\s+\S+)*)")


@dataclass(frozen=True)
class NamedToken:
    """A bearer token, and the namespaces that its holder may see (none: the server's own)."""

    token: str = field(repr=False)
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Callers:
    """The callers an HTTP server accepts; none at all means that it does not ask."""

    tokens: Mapping[str, NamedToken] = field(default_factory=dict)
    """Caller's name to bearer token."""
    token_file: "TokenFile | None" = None
    """More of them, read again when they change."""
    jwks_uri: str | None = None
    issuer: str | None = None
    audience: str | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str], **flags: str | None) -> "Callers":
        """Read `OPSWRIGHT_BEARER_TOKENS`, `_TOKEN_FILE` and `_JWT_JWKS_URI` and its two companions.

        `flags` (`token_file`, `jwt_jwks_uri`, `jwt_issuer`, `jwt_audience`) go before the
        environment. Raises BadInputError, which never quotes a token.
        """

        def chosen(flag: str, variable: str) -> str | None:
            return flags.get(flag) or environ.get(variable) or None

        entries = environ.get("OPSWRIGHT_BEARER_TOKENS", "").replace(",", "\n")
        path = chosen("token_file", "OPSWRIGHT_TOKEN_FILE")
        callers = cls(
            tokens=parse_tokens(entries, "OPSWRIGHT_BEARER_TOKENS"),
            token_file=TokenFile(Path(path).expanduser()) if path else None,
            jwks_uri=chosen("jwt_jwks_uri", "OPSWRIGHT_JWT_JWKS_URI"),
            issuer=chosen("jwt_issuer", "OPSWRIGHT_JWT_ISSUER"),
            audience=chosen("jwt_audience", "OPSWRIGHT_JWT_AUDIENCE"),
        )
        jwt = (callers.jwks_uri, callers.issuer, callers.audience)
        if any(jwt) and not all(jwt):
            raise BadInputError(
                "JWTs need all of --jwt-jwks-uri, --jwt-issuer and --jwt-audience: without them "
                "a token made for another service would be accepted"
            )
        return callers

    def provider(self) -> "AuthProvider | None":
        """What asks each request for its token; None when no caller was named."""
        verifiers: dict[str, Any] = {}
        if self.tokens or self.token_file:
            verifiers["tokens"] = _named_tokens(self._now)
        if self.jwks_uri:
            from fastmcp.server.auth.providers.jwt import JWTVerifier

            verifiers["jwt"] = JWTVerifier(
                jwks_uri=self.jwks_uri, issuer=self.issuer, audience=self.audience
            )
        if len(verifiers) > 1:
            from fastmcp.server.auth import MultiAuth

            return MultiAuth(verifiers=verifiers)
        return next(iter(verifiers.values()), None)

    def _now(self) -> dict[str, NamedToken]:
        return {**self.tokens, **(self.token_file.tokens() if self.token_file else {})}


class TokenFile:
    """A file of tokens by name, read again when it changes, so that a removed one is refused.

    Made from a file that can be used, or BadInputError is raised. One that cannot be any more lets
    nobody in, and the log says why, until it is mended.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _look(path)
        self._tokens = parse_tokens(_read_secret(path), str(path))

    def tokens(self) -> dict[str, NamedToken]:
        """Caller's name to bearer token, as the file is now."""
        if (now := _look(self._path)) != self._seen:
            self._seen = now
            try:
                self._tokens = parse_tokens(_read_secret(self._path), str(self._path))
                log.warning("%s changed; it names %d callers", self._path, len(self._tokens))
            except BadInputError as exc:
                self._tokens = {}
                log.error("%s. Its callers are refused until it is mended.", exc)
        return self._tokens


def _look(path: Path) -> tuple[int, ...]:
    """What tells whether a file is another than before; empty when it is not there."""
    try:
        seen = path.stat()
    except OSError:
        return ()
    return seen.st_mtime_ns, seen.st_size, seen.st_ino


def parse_tokens(text: str, source: str) -> dict[str, NamedToken]:
    """`name:token` on each line → tokens by name; empty lines and `#` comments are left out.

    Namespaces may follow, with spaces between: `name:token team-a team-b`, or `*` for all. Raises
    BadInputError with the line's number for a token without a name, a name used twice, a token that
    is too short, or a namespace that is none.
    """
    tokens: dict[str, NamedToken] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        where = f"{source}, entry {number}"
        if not (match := _TOKEN.fullmatch(entry)):
            raise BadInputError(
                f"{where}: write name:token, like ci:{'…' * 3}, and after it the namespaces if any"
            )
        name, token, namespaces = match.groups()
        if name in tokens:
            raise BadInputError(f"{where}: there is a token for {name} already")
        if len(token) < LEAST_CHARACTERS:
            raise BadInputError(
                f"{where}: the token of {name} has {len(token)} characters; use at least "
                f"{LEAST_CHARACTERS}, for example from: openssl rand -hex 32"
            )
        try:
            seen = tuple(one if one == EVERY else named(one) for one in namespaces.split())
        except BadInputError as exc:
            raise BadInputError(f"{where}: after the token of {name}, {exc}") from None
        tokens[name] = NamedToken(token, seen)
    return tokens


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_secret(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o004:
            log.warning("%s can be read by every user; mend it with: chmod 600 %s", path, path)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadInputError(f"cannot read the token file {path}: {exc}") from exc


def _named_tokens(tokens: Callable[[], Mapping[str, NamedToken]]) -> Any:
    from fastmcp.server.auth import AccessToken, TokenVerifier

    class NamedTokens(TokenVerifier):
        async def verify_token(self, token: str) -> AccessToken | None:
            given = _digest(token)
            # Every one is compared, so that the time taken tells nothing of which came near.
            known = tokens().items()
            fits = [
                (name, own.namespaces)
                for name, own in known
                if hmac.compare_digest(_digest(own.token), given)
            ]
            if not fits:
                return None
            name, namespaces = fits[0]
            claims = {CLAIM: list(namespaces)} if namespaces else {}
            return AccessToken(token=token, client_id=name, scopes=[], claims=claims)

    return NamedTokens()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
