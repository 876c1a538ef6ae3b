"""Address ranges as rules name them: which of them are the whole internet."""

import ipaddress

# Nobody's own network is wider than this: the largest blocks ever given are /8 and /16.
_WIDEST = {4: 8, 6: 16}


def is_cidr(source: str) -> bool:
    """Whether a source is an address range (and not a group or a prefix list)."""
    return "/" in source


def is_world(source: str, version: int | None = None) -> bool:
    """Whether a CIDR is the whole internet or nearly (0.0.0.0/0, ::/0, 0.0.0.0/1)."""
    if not is_cidr(source):
        return False
    network = ipaddress.ip_network(source, strict=False)
    wide = network.prefixlen < _WIDEST[network.version]
    return wide and version in {None, network.version}
