"""Reading the API signature files in which Android's sources list every public class.

Format 2.0 of Metalava: a class a block, a member a line, types fully qualified but String and Object.
Source: the grammar in Metalava's FORMAT.md, and the file core/api/current.txt of Android 14.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""\s*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\.\.\.|@?[\w$]+(?:[.$][\w$]+)*|.)"""
)
_MODIFIERS = frozenset(
    (
        "public", "protected", "private", "static", "final", "abstract", "default", "synchronized",
        "native", "transient", "volatile", "strictfp", "sealed", "deprecated", "optional",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """A Java type: a qualified or primitive name, its arguments, its array dimensions.

    wildcard: "", "?", "? extends" or "? super"; name is "" for a bare "?".
    """

    name: str
    arguments: tuple[Type, ...] = ()
    dimensions: int = 0
    wildcard: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeParameter:
    """A type parameter and its bounds, which may be none."""

    name: str
    bounds: tuple[Type, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """A type with the simple names of the annotations before it."""

    type: Type
    annotations: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A field, enum constant, constructor or method.

    default: text of a field's value or of an annotation method's default, None where there is none.
    """

    kind: str
    name: str
    modifiers: frozenset[str]
    annotations: frozenset[str]
    type: Type
    parameters: tuple[Annotated, ...] = ()
    type_parameters: tuple[TypeParameter, ...] = ()
    throws: tuple[Type, ...] = ()
    varargs: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """A class, interface, enum or @interface; name is relative to the package, Outer.Inner."""

    package: str
    name: str
    kind: str
    modifiers: frozenset[str]
    annotations: frozenset[str]
    type_parameters: tuple[TypeParameter, ...]
    supers: tuple[Type, ...]
    interfaces: tuple[Type, ...]
    members: list[Member] = field(default_factory=list)


VOID = Type(name="void")


def read(text: str) -> Iterator[Class]:
    """Every class of a signature file. Raises ValueError with the line that is not understood."""
    package = ""
    current: Class | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("//"):
            continue
        try:
            if line.startswith("package "):
                package = _Line(line).package()
            elif line.startswith("    ") and current is not None:
                current.members.append(_Line(line).member())
            elif line.startswith("  ") and line.endswith("{"):
                current = _Line(line).klass(package)
            elif line.strip() == "}" and current is not None:
                yield current
                current = None
        except (IndexError, ValueError) as error:
            raise ValueError(f"line {number} is not understood: {line[:200]}") from error


class _Line:
    """The tokens of one line and how far they are read."""

    def __init__(self, line: str) -> None:
        self.tokens = _TOKEN.findall(line.rstrip())
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.tokens[self.at]
        self.at += 1
        return str(token)

    def accept(self, token: str) -> bool:
        if self.peek() != token:
            return False
        self.at += 1
        return True

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise ValueError(f"expected {token}, found {self.peek()}")

    # Metalava glues names and dots: an annotation is one token, its arguments follow in brackets.
    def annotations(self) -> frozenset[str]:
        names = set()
        while self.peek().startswith("@") and self.peek() != "@interface":
            names.add(self.take().rpartition(".")[2].lstrip("@"))
            if self.peek() == "(":
                self.balanced()
        return frozenset(names)

    def balanced(self) -> None:
        depth = 0
        while True:
            mark = self.take()
            depth += (mark in "({") - (mark in ")}")
            if depth == 0:
                return

    def modifiers(self) -> tuple[frozenset[str], frozenset[str]]:
        """Modifiers and annotations, which may be mixed."""
        words: set[str] = set()
        annotations: set[str] = set()
        while True:
            annotations |= self.annotations()
            if self.peek() not in _MODIFIERS:
                return frozenset(words), frozenset(annotations)
            words.add(self.take())

    def package(self) -> str:
        self.expect("package")
        self.annotations()
        return self.take()

    def klass(self, package: str) -> Class:
        words, annotations = self.modifiers()
        kind = self.take()
        name = self.take()
        parameters = self.type_parameters()
        lists: dict[str, list[Type]] = {"extends": [], "implements": []}
        while self.peek() in lists:
            here = lists[self.take()]
            while self.peek() not in ("implements", "extends", "{"):
                self.accept(",")
                here.append(self.type())
        self.expect("{")
        extended = tuple(lists["extends"])
        interface = kind == "interface"
        return Class(
            package=package, name=name, kind=kind.lstrip("@") if kind != "@interface" else kind,
            modifiers=words, annotations=annotations, type_parameters=parameters,
            supers=() if interface else extended,
            interfaces=(extended if interface else ()) + tuple(lists["implements"]),
        )  # fmt: skip

    def type_parameters(self) -> tuple[TypeParameter, ...]:
        found: list[TypeParameter] = []
        if not self.accept("<"):
            return ()
        while not self.accept(">"):
            self.accept(",")
            self.annotations()
            name = self.take()
            bounds = []
            if self.accept("extends"):
                bounds.append(self.type())
                while self.accept("&"):
                    bounds.append(self.type())
            found.append(TypeParameter(name=name, bounds=tuple(bounds)))
        return tuple(found)

    def type(self) -> Type:
        self.annotations()
        wildcard = ""
        if self.accept("?"):
            wildcard = "?"
            if self.peek() not in ("extends", "super"):
                return Type(name="", wildcard=wildcard)
            wildcard = f"? {self.take()}"
            self.annotations()
        name = self.take()
        arguments = self.arguments()
        # A part after the arguments of an outer class: erased to the inner class.
        while self.peek().startswith(".") and self.peek() != "...":
            self.take()
            name, arguments = f"{name}.{self.take()}", self.arguments()
        dimensions = 0
        while self.accept("["):
            self.expect("]")
            dimensions += 1
        return Type(name=name, arguments=arguments, dimensions=dimensions, wildcard=wildcard)

    def arguments(self) -> tuple[Type, ...]:
        if not self.accept("<"):
            return ()
        found = []
        while not self.accept(">"):
            self.accept(",")
            found.append(self.type())
        return tuple(found)

    def member(self) -> Member:
        kind = self.take()
        words, annotations = self.modifiers()
        parameters = self.type_parameters()
        more, others = self.modifiers()
        words, annotations = words | more, annotations | others
        result = VOID if kind == "ctor" else self.type()
        name = self.take()
        if kind in ("field", "enum_constant"):
            default = self.rest() if self.accept("=") else None
            return Member(
                kind=kind, name=name, modifiers=words, annotations=annotations, type=result,
                default=default,
            )  # fmt: skip
        given, varargs = self.parameters()
        throws = []
        if self.accept("throws"):
            throws.append(self.type())
            while self.accept(","):
                throws.append(self.type())
        default = self.rest() if self.accept("default") else None
        return Member(
            kind=kind, name=name, modifiers=words, annotations=annotations, type=result,
            parameters=given, type_parameters=parameters, throws=tuple(throws), varargs=varargs,
            default=default,
        )  # fmt: skip

    def parameters(self) -> tuple[tuple[Annotated, ...], bool]:
        """Parameters and whether the last takes any number of values."""
        found = []
        varargs = False
        self.expect("(")
        while not self.accept(")"):
            self.accept(",")
            _, annotations = self.modifiers()
            kind = self.type()
            if self.accept("..."):
                varargs = True
                kind = Type(
                    name=kind.name, arguments=kind.arguments, dimensions=kind.dimensions + 1
                )
            if self.peek() not in (",", ")"):
                self.take()
            found.append(Annotated(type=kind, annotations=annotations))
        return tuple(found), varargs

    def rest(self) -> str:
        """The text up to the semicolon that ends the line, before a comment."""
        words: list[str] = []
        while self.peek() not in (";", ""):
            words.append(self.take())
        return "".join(words)
