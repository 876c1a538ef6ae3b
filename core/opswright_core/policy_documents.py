"""Resource policies as documents: statements put in and taken out, the others untouched."""

import json
from collections.abc import Sequence
from typing import Any

VERSION = "2012-10-17"


def policy_document(statements: Sequence[dict[str, Any]]) -> str:
    """A policy of these statements."""
    return json.dumps({"Version": VERSION, "Statement": list(statements)})


def tls_only(action: str, resource: Any) -> dict[str, Any]:
    """The statement that refuses every request for an action that does not come over TLS."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def with_statement(policy: str | None, statement: dict[str, Any]) -> str:
    """A policy with a statement in place of the one of the same Sid, the others untouched."""
    document = json.loads(policy or "{}") or {"Version": VERSION, "Statement": []}
    others = [s for s in document["Statement"] if s.get("Sid") != statement["Sid"]]
    return json.dumps({**document, "Statement": [*others, statement]})


def without_statement(policy: str | None, sid: str) -> str | None:
    """A policy without the statement of a Sid; "" (SQS's word for none) when it was the last.

    None when there is no such statement, and nothing to change.
    """
    document = json.loads(policy or "{}") or {"Statement": []}
    others = [s for s in document["Statement"] if s.get("Sid") != sid]
    if len(others) == len(document["Statement"]):
        return None
    return json.dumps({**document, "Statement": others}) if others else ""
