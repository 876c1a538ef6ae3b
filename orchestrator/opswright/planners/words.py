"""Values for a tool's arguments that stand in the words of a request."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from opswright.shapes import faults, shape

_WORD = r"[A-Za-z0-9][\w.-]*"
_PATH = re.compile(r"(?<![\w/])((?:https?://|git@|ssh://|~?/|\.{1,2}/)[^\s,;]+)")
_VERSION = re.compile(r"\b(v?\d+\.\d+(?:\.\d+)?(?:[-+][\w.]+)?)\b(?![/\w])")
_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.]+\b")
_ID = re.compile(r"\b([a-z]+)-[0-9a-f]{6,17}\b")
_REGION = re.compile(r"\b[a-z]{2}(?:-[a-z]+)+-\d\b")
_CALLED = re.compile(rf"\b(?:named|called)\s+{_WORD}", re.IGNORECASE)
_NUMBER = re.compile(r"\b\d[\d.:]*\b")
_LEAD = r"(?:the |our |my |this |an? )?"
_NOT_NAMES_WORDS = """
    for from in on of to with and that named called it its into then by
"""
_NOT_NAMES = frozenset(_NOT_NAMES_WORDS.split())


def without_values(text: str) -> str:
    """A text without the names, ids, paths, versions, regions, addresses and numbers in it."""
    for pattern in (_PATH, _EMAIL, _ID, _REGION, _CALLED):
        text = pattern.sub(" ", text)
    return _NUMBER.sub(" ", _VERSION.sub(" version ", text))


def value_in(name: str, schema: Mapping[str, Any], text: str, root: Mapping[str, Any]) -> Any:
    """The value that a text gives for an argument, checked against its schema; None for none."""
    wanted = shape(dict(root)).of(dict(schema))
    description = str(schema.get("description", ""))
    for found in _candidates(name, wanted.schema, description, text):
        if found is not None and not faults(found, wanted):
            return found
    return None


def _candidates(name: str, schema: Mapping[str, Any], description: str, text: str) -> Iterator[Any]:
    words = name.lower().split("_")
    if "enum" in schema:
        yield from _choice(schema["enum"], text)
        return
    kind = schema.get("type")
    if kind in {"integer", "number"}:
        yield from _count(words, kind, text)
    elif kind == "string":
        yield from _text(words, description, text)


def _choice(options: list[Any], text: str) -> Iterator[Any]:
    said = set(re.findall(r"[a-z0-9]+", text.lower()))
    for option in options:
        if str(option).lower() in said or str(option).lower().split("-")[0] in said:
            yield option


def _count(words: list[str], kind: str, text: str) -> Iterator[Any]:
    unit = re.escape(words[-1].rstrip("s"))
    for pattern in (rf"(\d+(?:\.\d+)?)\s+{unit}s?\b", rf"\b{unit}s?\s+(\d+(?:\.\d+)?)"):
        if match := re.search(pattern, text, re.IGNORECASE):
            yield int(float(match.group(1))) if kind == "integer" else float(match.group(1))


def _text(words: list[str], description: str, text: str) -> Iterator[Any]:
    about = f"{' '.join(words)} {description}".lower()
    if "email" in about:
        yield from _EMAIL.findall(text)
    if "version" in words:
        found = _VERSION.findall(text)
        yield from found[1:] if words[0] == "to" else found
        return
    for match in _ID.finditer(text):
        if _names(match.group(1), words, about):
            yield match.group()
    if "/" in description or re.search(r"\b(path|url|directory|folder|repository)\b", about):
        yield from (found.rstrip(".?!") for found in _PATH.findall(text))
    if words[-1] in {"id", "ids", "arn", "arns"}:
        return
    if like := re.search(r"\b[Ll]ike ([\w-]+[:.][\w.-]*\w)", description):
        yield from _alike(like.group(1), _EMAIL.sub(" ", _PATH.sub(" ", text)))
    port = re.search(r"\bport (\d+)", text) if words == ["port"] else None
    if port:
        yield port.group(1)
    noun = r"[\s-]+".join(map(re.escape, words))
    nouns = [noun, "app"] if words == ["application"] else [noun]
    for said in nouns:
        yield from _named(rf"\b{said}\s+(?:named|called)\s+({_WORD})", text)
        yield from _named(rf"\b{said}\s+({_WORD})", text)
    if words[-1] in {"name", "application"} or "name" in about:
        yield from _named(rf"\b(?:named|called)\s+({_WORD})", text)
    if words == ["application"]:
        yield from _named(rf"\b(?:of|does|for)\s+{_LEAD}({_WORD})", text)
        yield from _named(rf"\b(?:roll back|revert|deploy|of)\s+{_LEAD}({_WORD})", text)
    if "environment" in words:
        yield from _named(r"\b(production|staging|development|test)\b", text)


def _alike(example: str, text: str) -> Iterator[str]:
    """What is built like the example that a description gives: `app:1.0`, `m7g.large`."""
    form = re.sub(
        r"[A-Za-z_-][\w-]*|\d+", lambda m: r"\d+" if m[0].isdigit() else r"[\w-]+", example
    )
    form = form.replace(".", r"\.")
    for match in re.finditer(rf"(?<![\w.:]){form}(?![\w:])", text):
        if not _VERSION.fullmatch(match.group()):
            yield match.group()


def _named(pattern: str, text: str) -> Iterator[str]:
    for match in re.finditer(pattern, text, re.IGNORECASE):
        word = match.group(1).rstrip(".?!")
        if word.lower() not in _NOT_NAMES and not _VERSION.fullmatch(word):
            yield word


def _names(prefix: str, words: list[str], about: str) -> bool:
    """Whether an id's prefix (`vpc-…`, `sg-…`) tells of the thing that an argument names."""
    if f"{prefix}-" in about or any(word.startswith(prefix) for word in words if word != "id"):
        return True
    spoken = re.findall(r"[a-z]+", about)
    pairs = (f"{a[0]}{b[0]}" for a, b in itertools.pairwise(spoken))
    return prefix in pairs or any(len(w) > 4 and prefix.endswith(w[:5]) for w in words)
