"""Finds circles in relations: resources that rely on themselves through others.

Tarjan, "Depth-first search and linear graph algorithms" (1972), written without recursion; of each
strongly connected group the shortest circle through its first member stands for all.
"""

from collections import deque
from collections.abc import Iterable, Mapping


def circles(relations: Iterable[tuple[str, str]]) -> list[tuple[list[str], int]]:
    """The circles among relations (from, to), each as its members in order and the group's size.

    The largest groups come first. A resource that refers to itself alone, as a security group may,
    is none.
    """
    after: dict[str, list[str]] = {}
    for source, target in sorted(set(relations)):
        after.setdefault(source, []).append(target)
    groups = [group for group in _groups(after) if len(group) > 1]
    found = [(_shortest(min(group), group, after), len(group)) for group in groups]
    return sorted(found, key=lambda entry: (-entry[1], entry[0]))


def _groups(after: Mapping[str, list[str]]) -> Iterable[set[str]]:
    """The strongly connected groups."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    pending: list[str] = []
    waiting: set[str] = set()
    for root in after:
        if root in number:
            continue
        trail = [(root, iter(after[root]))]
        while trail:
            node, rest = trail[-1]
            if node not in number:
                number[node] = low[node] = len(number)
                pending.append(node)
                waiting.add(node)
            for target in rest:
                if target not in number:
                    trail.append((target, iter(after.get(target, []))))
                    break
                if target in waiting:
                    low[node] = min(low[node], number[target])
            else:
                trail.pop()
                if trail:
                    low[trail[-1][0]] = min(low[trail[-1][0]], low[node])
                if low[node] == number[node]:
                    group = {last := pending.pop()}
                    while last != node:
                        group.add(last := pending.pop())
                    waiting -= group
                    yield group


def _shortest(begin: str, group: set[str], after: Mapping[str, list[str]]) -> list[str]:
    """The shortest circle from a member of a group back to it."""
    came: dict[str, str] = {}
    queue = deque([begin])
    while queue:
        node = queue.popleft()
        for target in after[node]:
            if target == begin:
                way = [node]
                while way[-1] != begin:
                    way.append(came[way[-1]])
                return way[::-1]
            if target in group and target not in came:
                came[target] = node
                queue.append(target)
    raise AssertionError(f"{begin} is in no circle of its group")
