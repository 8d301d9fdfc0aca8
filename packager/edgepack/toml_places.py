"""Where a key stands in a TOML text, for carets in error messages. tomllib keeps no positions."""

from __future__ import annotations

import json

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Place = tuple[int, int, int]
"""line and column, both from 1, and length in characters."""


def find(text: str, keys: tuple[str | int, ...]) -> Place:
    """The place of the key or value that `keys` lead to; of the longest part of them that exists.

    keys: table names, keys, and positions within arrays, from the top of the file.
    """
    root = Parser(Language(tree_sitter_toml.language())).parse(text.encode()).root_node
    found = _entries(root)
    for length in range(len(keys), 0, -1):
        node = found.get(keys[:length])
        if node is not None:
            line, column = node.start_point
            source = text.split("\n")[line].encode()
            end = node.end_point[1] if node.end_point[0] == line else column + 1
            prefix, marked = (
                part.decode(errors="replace") for part in (source[:column], source[column:end])
            )
            return line + 1, len(prefix) + 1, max(1, len(marked))
    return 1, 1, 1


def _entries(root: Node) -> dict[tuple[str | int, ...], Node]:
    """Every key path of the file and the node to point at: the value for scalars, the key for tables."""
    found: dict[tuple[str | int, ...], Node] = {}
    counts: dict[tuple[str | int, ...], int] = {}
    for child in root.named_children:
        if child.type == "pair":
            _pair(child, (), found)
        elif child.type in ("table", "table_array_element"):
            head = child.named_children[0]
            path = _below(_keys(head), counts)
            if child.type == "table_array_element":
                index = counts.get(path, 0)
                counts[path] = index + 1
                found.setdefault(path, head)
                path = (*path, index)
            found[path] = head
            for pair in child.named_children[1:]:
                if pair.type == "pair":
                    _pair(pair, path, found)
    return found


def _below(
    keys: tuple[str | int, ...], counts: dict[tuple[str | int, ...], int]
) -> tuple[str | int, ...]:
    """The path a header's keys stand for: below an array of tables they mean its last element."""
    path: tuple[str | int, ...] = ()
    for key in keys[:-1]:
        path = (*path, key)
        if path in counts:
            path = (*path, counts[path] - 1)
    return (*path, keys[-1])


def _pair(
    node: Node, path: tuple[str | int, ...], found: dict[tuple[str | int, ...], Node]
) -> None:
    key, value = node.named_children[0], node.named_children[-1]
    own = (*path, *_keys(key))
    found[own] = key if value.type == "inline_table" else value
    found[(*own, "")] = key
    _inside(value, own, found)


def _inside(
    value: Node, path: tuple[str | int, ...], found: dict[tuple[str | int, ...], Node]
) -> None:
    if value.type == "inline_table":
        for child in value.named_children:
            if child.type == "pair":
                _pair(child, path, found)
    elif value.type == "array":
        for index, child in enumerate(c for c in value.named_children if c.type != "comment"):
            found[(*path, index)] = child
            _inside(child, (*path, index), found)


def _keys(node: Node) -> tuple[str | int, ...]:
    """The parts of a bare, quoted or dotted key."""
    if node.type == "dotted_key":
        return tuple(k for child in node.named_children for k in _keys(child))
    text = (node.text or b"").decode()
    if node.type == "quoted_key":
        return (json.loads(text) if text.startswith('"') else text[1:-1],)
    return (text,)
