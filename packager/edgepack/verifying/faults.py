"""What a parser says of a text that it refuses."""

from __future__ import annotations


class ParseError(Exception):
    """A parser's complaint: line, 0 when it named none, and message."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message
