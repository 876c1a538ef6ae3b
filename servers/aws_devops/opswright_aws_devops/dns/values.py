"""The values of a record as Route 53 takes them, or why it would not."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Literal

from opswright_core.errors import BadInputError

RecordType = Literal["A", "AAAA", "CNAME", "MX", "TXT"]
TXT_BYTES = 255
"""The longest single string of a TXT record (RFC 1035, 3.3.14); a longer value is several."""

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?", re.IGNORECASE)
_NAME = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*\.?", re.IGNORECASE)


def check_name(name: str) -> None:
    """Raise BadInputError unless it is a DNS name that a record may have."""
    if len(name) > 255 or not _NAME.fullmatch(name):
        raise BadInputError(
            f"{name!r} is not a DNS name: labels of letters, digits, - and _, parted by dots; "
            "a `*` only as the first label; other scripts as punycode (xn--…)."
        )


def record_values(kind: RecordType, values: Sequence[str]) -> list[str]:
    """Values in the form of Route 53. Raises BadInputError for one that does not fit its type."""
    if kind == "CNAME" and len(values) != 1:
        raise BadInputError(f"A CNAME has exactly one value, not {len(values)}.")
    return [_one(kind, value.strip()) for value in values]


def _one(kind: RecordType, value: str) -> str:
    match kind:
        case "A" | "AAAA":
            return _address(kind, value)
        case "CNAME":
            return _host(kind, value)
        case "MX":
            priority, _, host = value.partition(" ")
            if not (priority.isdecimal() and int(priority) <= 65_535 and host):
                raise BadInputError(f"MX {value!r}: write a priority and a host, `10 mail.host`.")
            return f"{int(priority)} {_host(kind, host.strip())}"
        case "TXT":
            return value if re.fullmatch(r'"([^"\\]|\\.)*"', value) else quoted(value)


def _address(kind: str, value: str) -> str:
    try:
        address = ipaddress.ip_address(value)
    except ValueError as exc:
        raise BadInputError(f"{kind} {value!r} is not an IP address.") from exc
    if address.version != (4 if kind == "A" else 6):
        raise BadInputError(f"{value} is an IPv{address.version} address: not for {kind}.")
    return str(address)


def _host(kind: str, value: str) -> str:
    if len(value) > 255 or not _HOST.fullmatch(value):
        raise BadInputError(f"{kind} {value!r} is not a host name (no scheme, port or path).")
    return value.lower().rstrip(".") + "."


def quoted(text: str) -> str:
    """A text as TXT strings: `"…" "…"`, cut at 255 bytes, odd bytes as octal escapes."""
    data = text.encode()
    parts = [data[at : at + TXT_BYTES] for at in range(0, len(data), TXT_BYTES)] or [b""]
    return " ".join('"' + "".join(map(_escaped, part)) + '"' for part in parts)


def _escaped(byte: int) -> str:
    if chr(byte) in '"\\':
        return f"\\{chr(byte)}"
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"
