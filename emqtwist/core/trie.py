"""Topic Filters by level, so that a Topic Name finds those that match it.

A node is made only where filters part: the levels that all filters below it share stand in its `skip`, and a filter
that shares no further level with another stands alone as `bytes`, unsplit. So there are fewer nodes than filters,
memory is in proportion to the filters' own bytes however deep they are, and a match visits a node only when the
filters below it agree with the Topic Name so far.
"""

from typing import Final

HASH: Final = 0x23
PLUS: Final = 0x2B


class Node:
    """Where filters part: `end` stops here, `hash` goes on with `#`, `plus` with `+`, `words` with a literal level.

    `skip` holds the levels between the branch that leads here and this node, each after a slash.
    """

    __slots__ = ("skip", "end", "hash", "plus", "words")

    def __init__(self, skip: bytes) -> None:
        self.skip = skip
        self.end: bytes | None = None
        self.hash: bytes | None = None
        self.plus: Node | bytes | None = None
        self.words: dict[bytes, Node | bytes] | None = None

    def child(self, level: bytes) -> "Node | bytes | None":
        if level == b"+":
            return self.plus
        if level == b"#":
            return self.hash
        return self.words.get(level) if self.words is not None else None

    def put(self, level: bytes, child: "Node | bytes") -> None:
        if level == b"+":
            self.plus = child
        elif self.words is None:
            self.words = {level: child}
        else:
            self.words[level] = child

    def place(self, topic_filter: bytes, levels: list[bytes], depth: int) -> None:
        """Add a filter that shares no further level with another; `depth` of its levels lead here."""
        if depth == len(levels):
            self.end = topic_filter
        elif levels[depth] == b"#":
            self.hash = topic_filter
        else:
            self.put(levels[depth], topic_filter)

    def displace(self, levels: list[bytes], depth: int) -> None:
        """Undo `place`."""
        if depth == len(levels):
            self.end = None
        elif levels[depth] == b"#":
            self.hash = None
        elif levels[depth] == b"+":
            self.plus = None
        elif self.words is not None:
            del self.words[levels[depth]]
            if not self.words:
                self.words = None

    def sole(self) -> "Node | bytes":
        """What may stand here instead: the only filter or node below, or this node itself while filters part here."""
        words = len(self.words) if self.words is not None else 0
        if (self.end is not None) + (self.hash is not None) + (self.plus is not None) + words > 1:
            return self
        level = b"+"
        child = self.end or self.hash or self.plus
        if self.words is not None:
            level, child = next(iter(self.words.items()))
        if isinstance(child, Node):
            child.skip = self.skip + b"/" + level + child.skip
        return child if child is not None else self


class Trie:
    """A set of Topic Filters, with wildcards or without, all taken to be valid."""

    __slots__ = ("_root", "_length")

    def __init__(self) -> None:
        self._root = Node(b"")
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def insert(self, topic_filter: bytes) -> None:
        levels = topic_filter.split(b"/")
        node = self._root
        depth = 0
        while depth < len(levels):
            child = node.child(levels[depth])
            if child == topic_filter:
                return
            if child is None:
                break
            below = _fork(child, levels, depth + 1)
            node.put(levels[depth], below)
            node = below
            depth += 1 + below.skip.count(b"/")
        if depth < len(levels) or node.end is None:
            node.place(topic_filter, levels, depth)
            self._length += 1

    def delete(self, topic_filter: bytes) -> None:
        levels = topic_filter.split(b"/")
        node = above = self._root
        depth = way = 0
        while depth < len(levels):
            child = node.child(levels[depth])
            if child == topic_filter:
                break
            if not isinstance(child, Node):
                return
            above, way = node, depth
            node = child
            depth += 1 + child.skip.count(b"/")
            if child.skip != _joined(levels[way + 1:depth]):
                return
        if depth == len(levels) and node.end is None:
            return
        node.displace(levels, depth)
        self._length -= 1
        if node is not self._root:
            above.put(levels[way], node.sole())

    def leads(self, topic_name: bytes) -> bool:
        """Whether a filter may match, by its first level: cheap, and wrong only where the answer is yes."""
        root = self._root
        if root.plus is not None or root.hash is not None:
            return True
        return root.words is not None and topic_name.partition(b"/")[0] in root.words

    def match(self, topic_name: bytes) -> list[bytes]:
        """The filters that match, in no order."""
        names = topic_name.split(b"/")  # [MQTT-4.7.3-4]
        found: list[bytes] = []
        pending: list[tuple[Node | bytes, int]] = []  # ways not taken yet: `plus` first
        below: Node | bytes | None = self._root
        depth = 0
        wild = topic_name[:1] != b"$"  # [MQTT-4.7.2-1]
        while True:
            while isinstance(below, Node):
                if below.skip:
                    depth = _agree(below.skip.split(b"/"), 1, names, depth)
                    if depth < 0:
                        below = None
                        break
                if wild and below.hash is not None:
                    found.append(below.hash)  # at the parent level too
                if depth == len(names):
                    if below.end is not None:
                        found.append(below.end)
                    below = None
                    break
                child = below.words.get(names[depth]) if below.words is not None else None
                depth += 1
                if wild and below.plus is not None:
                    if child is not None:
                        pending.append((child, depth))
                    child = below.plus
                below = child
                wild = True
            if below is not None and _fits(below, topic_name, names, depth):
                found.append(below)
            if not pending:
                return found
            below, depth = pending.pop()


def _fork(child: Node | bytes, levels: list[bytes], depth: int) -> Node:
    """The node that stands for `child` once a filter of these levels comes below; its `skip` holds for both."""
    theirs = child.skip.split(b"/")[1:] if isinstance(child, Node) else child.split(b"/")[depth:]
    shared = 0
    while shared < len(theirs) and depth + shared < len(levels) and theirs[shared] == levels[depth + shared]:
        shared += 1
    if isinstance(child, Node):
        if shared == len(theirs):
            return child
        node = Node(_joined(theirs[:shared]))
        node.put(theirs[shared], child)
        child.skip = _joined(theirs[shared + 1:])
    else:
        node = Node(_joined(theirs[:shared]))
        node.place(child, theirs, shared)
    return node


def _joined(levels: list[bytes]) -> bytes:
    return b"/" + b"/".join(levels) if levels else b""


def _fits(topic_filter: bytes, topic_name: bytes, names: list[bytes], depth: int) -> bool:
    """Whether a filter matches whose first `depth` levels do. Most have their only wildcard at their end: no need to split."""
    if topic_name.startswith(topic_filter[:-1]):  # a Topic Name has no wildcard, so there was none
        last = topic_filter[-1]
        if last == HASH or (last == PLUS and topic_name.find(b"/", len(topic_filter) - 1) < 0):
            return True
    return _agree(topic_filter.split(b"/"), depth, names, depth) == len(names)


def _agree(levels: list[bytes], start: int, names: list[bytes], depth: int) -> int:
    """How deep the levels from `start` on reach into the Topic Name from `depth` on; -1 where they disagree."""
    for at in range(start, len(levels)):
        level = levels[at]
        if level == b"#":
            return len(names)
        if depth == len(names) or (level != names[depth] and level != b"+"):
            return -1
        depth += 1
    return depth
