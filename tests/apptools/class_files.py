"""Java class files for the classes of a signature file: types and names, no code that could run.

A compiler reads from them what it reads from the SDK's android.jar: descriptors, generic signatures,
constants, deprecation, nullness. Source: The Java Virtual Machine Specification, chapter 4.
"""

from __future__ import annotations

import ast
import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from signature_file import Annotated, Class, Member, Type, TypeParameter

_PRIMITIVES = {
    "void": "V", "boolean": "Z", "byte": "B", "char": "C", "short": "S", "int": "I", "long": "J",
    "float": "F", "double": "D",
}  # fmt: skip
_FLAGS = {
    "public": 0x1, "private": 0x2, "protected": 0x4, "static": 0x8, "final": 0x10,
    "synchronized": 0x20, "volatile": 0x40, "transient": 0x80, "native": 0x100, "abstract": 0x400,
}  # fmt: skip
_VARARGS, _INTERFACE, _SUPER, _ANNOTATION, _ENUM = 0x80, 0x200, 0x20, 0x2000, 0x4000
_OBJECT = "java/lang/Object"
_NULLNESS = {"Nullable": "Landroid/annotation/Nullable;", "NonNull": "Landroid/annotation/NonNull;"}
_JAVA_8 = 52


def write(classes: Iterable[Class]) -> dict[str, bytes]:
    """Path in a jar to content, for every class and for the two annotations of nullness."""
    found = list(classes)
    known = {
        f"{c.package}.{c.name}": f"{c.package.replace('.', '/')}/{c.name.replace('.', '$')}"
        for c in found
    }
    inner = {known[f"{c.package}.{c.name}"]: c for c in found if "." in c.name}
    nullness = [
        Class(
            package="android.annotation", name=name, kind="@interface",
            modifiers=frozenset(("public", "abstract")), annotations=frozenset(),
            type_parameters=(), supers=(), interfaces=(),
        )
        for name in _NULLNESS
    ]  # fmt: skip
    by_name = {f"{c.package}.{c.name}": c for c in found}
    return {
        f"{known.get(f'{c.package}.{c.name}', f'android/annotation/{c.name}')}.class": _Writer(
            c, known, inner, by_name
        ).bytes()
        for c in [*found, *nullness]
    }


@dataclass(slots=True)
class _Pool:
    """A constant pool under construction: encoded entries to their index."""

    entries: dict[bytes, int] = field(default_factory=dict)
    size: int = 1

    def add(self, entry: bytes, slots: int = 1) -> int:
        if entry not in self.entries:
            self.entries[entry] = self.size
            self.size += slots
        return self.entries[entry]

    def utf8(self, text: str) -> int:
        # Modified UTF-8: each UTF-16 unit by itself, zero in two bytes.
        units = text.encode("utf-16-be", "surrogatepass")
        data = b"".join(
            b"\xc0\x80" if unit == 0 else chr(unit).encode("utf-8", "surrogatepass")
            for (unit,) in struct.iter_unpack(">H", units)
        )
        return self.add(b"\x01" + struct.pack(">H", len(data)) + data)

    def klass(self, name: str) -> int:
        return self.add(b"\x07" + struct.pack(">H", self.utf8(name)))

    def constant(self, descriptor: str, text: str) -> int:
        """Index of a field's value as the signature file writes it."""
        if descriptor == "Ljava/lang/String;":
            value = ast.literal_eval(re.sub(r"\\u+([0-9a-fA-F]{4})", r"\\u\1", text))
            return self.add(b"\x08" + struct.pack(">H", self.utf8(value)))
        if descriptor == "J":
            return self.add(b"\x05" + struct.pack(">q", int(text.rstrip("L"))), 2)
        if descriptor == "F":
            return self.add(b"\x04" + struct.pack(">f", _real(text)))
        if descriptor == "D":
            return self.add(b"\x06" + struct.pack(">d", _real(text)), 2)
        whole = {"true": 1, "false": 0}
        number = whole[text] if text in whole else int(text)
        return self.add(b"\x03" + struct.pack(">i", number))


def _real(text: str) -> float:
    """A float as the signature file writes it: 1.5f, (1.0f/0.0f), 0.0f / 0.0f, 1.4E-45f."""
    plain = re.sub(r"(?<=[\d.])[fFdD]", "", text).strip("()").replace(" ", "")
    above, slash, _ = plain.partition("/")
    if slash or plain == "NaN":
        return (
            math.nan
            if plain == "NaN" or float(above) == 0
            else math.copysign(math.inf, float(above))
        )
    return float(plain)


class _Writer:
    """One class on its way to bytes."""

    def __init__(
        self,
        klass: Class,
        known: Mapping[str, str],
        inner: Mapping[str, Class],
        by_name: Mapping[str, Class],
    ) -> None:
        self.klass, self.known, self.inner, self.by_name = klass, known, inner, by_name
        self.pool = _Pool()
        self.variables = {p.name: p for p in self._scope()}
        self.used: set[str] = set()

    def _scope(self) -> list[TypeParameter]:
        """Type parameters of the class and of those around it."""
        found = list(self.klass.type_parameters)
        outer = self.klass
        while "." in outer.name and "static" not in outer.modifiers:
            around = self.by_name.get(f"{outer.package}.{outer.name.rpartition('.')[0]}")
            if around is None:
                break
            found.extend(around.type_parameters)
            outer = around
        return found

    # --- names ---------------------------------------------------------------------------------

    def internal(self, name: str) -> str:
        """The internal name of a class: known, of java.lang, or by capital letters."""
        if name in self.known:
            result = self.known[name]
        elif "." not in name:
            result = f"java/lang/{name}"
        else:
            parts = name.split(".")
            first = next((i for i, p in enumerate(parts) if p[:1].isupper()), len(parts) - 1)
            result = "/".join([*parts[:first], "$".join(parts[first:])])
        self.used.add(result)
        return result

    def descriptor(self, kind: Type, variables: Mapping[str, TypeParameter]) -> str:
        """The erased type."""
        arrays = "[" * kind.dimensions
        if kind.name in _PRIMITIVES:
            return arrays + _PRIMITIVES[kind.name]
        if kind.name in variables:
            bounds = variables[kind.name].bounds
            erased = self.descriptor(bounds[0], variables) if bounds else f"L{_OBJECT};"
            return arrays + erased
        return f"{arrays}L{self.internal(kind.name)};"

    def generic(self, kind: Type, variables: Mapping[str, TypeParameter]) -> str:
        """The type with its arguments, as a Signature attribute writes it."""
        if kind.wildcard == "?":
            return "*"
        bound = {"? extends": "+", "? super": "-"}.get(kind.wildcard, "")
        arrays = "[" * kind.dimensions
        if kind.name in _PRIMITIVES:
            return bound + arrays + _PRIMITIVES[kind.name]
        if kind.name in variables:
            return f"{bound}{arrays}T{kind.name};"
        arguments = "".join(self.generic(a, variables) for a in kind.arguments)
        listed = f"<{arguments}>" if arguments else ""
        return f"{bound}{arrays}L{self.internal(kind.name)}{listed};"

    def generic_parameters(
        self, parameters: Sequence[TypeParameter], variables: Mapping[str, TypeParameter]
    ) -> str:
        """Type parameters with their bounds."""
        if not parameters:
            return ""
        text = ""
        for parameter in parameters:
            bounds = parameter.bounds or (Type(name="java.lang.Object"),)
            text += parameter.name
            for number, bound in enumerate(bounds):
                named = self.by_name.get(bound.name)
                interface = number > 0 or (named is not None and named.kind == "interface")
                text += ("::" if interface and number == 0 else ":") + self.generic(
                    bound, variables
                )
        return f"<{text}>"

    # --- attributes ----------------------------------------------------------------------------

    def attribute(self, name: str, data: bytes) -> bytes:
        return struct.pack(">HI", self.pool.utf8(name), len(data)) + data

    def marks(self, annotations: frozenset[str], signature: str) -> list[bytes]:
        """The attributes that classes, fields and methods share."""
        found = []
        if "Deprecated" in annotations:
            found.append(self.attribute("Deprecated", b""))
        if signature:
            found.append(self.attribute("Signature", struct.pack(">H", self.pool.utf8(signature))))
        nullness = self.nullness(annotations)
        if nullness:
            found.append(self.attribute("RuntimeInvisibleAnnotations", nullness))
        return found

    def nullness(self, annotations: frozenset[str]) -> bytes:
        """Annotations of nullness as a table, b"" for none."""
        names = [_NULLNESS[name] for name in sorted(_NULLNESS) if name in annotations]
        if not names:
            return b""
        return struct.pack(">H", len(names)) + b"".join(
            struct.pack(">HH", self.pool.utf8(name), 0) for name in names
        )

    def parameter_nullness(self, parameters: Sequence[Annotated]) -> list[bytes]:
        """The attribute for annotated parameters, if there are any."""
        tables = [self.nullness(p.annotations) for p in parameters]
        if not any(tables):
            return []
        data = bytes((len(tables),)) + b"".join(table or b"\0\0" for table in tables)
        return [self.attribute("RuntimeInvisibleParameterAnnotations", data)]

    # --- members -------------------------------------------------------------------------------

    def field(self, member: Member) -> bytes:
        descriptor = self.descriptor(member.type, self.variables)
        generic = self.generic(member.type, self.variables)
        attributes = self.marks(member.annotations, generic if generic != descriptor else "")
        flags = _flags(member.modifiers)
        if member.kind == "enum_constant":
            flags |= _ENUM
        if member.default is not None and member.kind == "field":
            index = self.pool.constant(descriptor, member.default)
            attributes.append(self.attribute("ConstantValue", struct.pack(">H", index)))
        return self.described(flags, member.name, descriptor, attributes)

    def method(self, member: Member) -> bytes:
        variables = {**self.variables, **{p.name: p for p in member.type_parameters}}
        types = [p.type for p in member.parameters]
        result = self.descriptor(member.type, variables)
        descriptor = f"({''.join(self.descriptor(t, variables) for t in types)}){result}"
        generic = (
            self.generic_parameters(member.type_parameters, variables)
            + f"({''.join(self.generic(t, variables) for t in types)})"
            + self.generic(member.type, variables)
        )
        attributes = self.marks(member.annotations, generic if generic != descriptor else "")
        attributes += self.parameter_nullness(member.parameters)
        if member.throws:
            thrown = [self.pool.klass(self.descriptor(t, variables)[1:-1]) for t in member.throws]
            data = struct.pack(f">H{len(thrown)}H", len(thrown), *thrown)
            attributes.append(self.attribute("Exceptions", data))
        name = member.name
        if member.kind == "ctor":
            name = "<init>"
            if "." in self.klass.name and "static" not in self.klass.modifiers:
                outer = self.internal(f"{self.klass.package}.{self.klass.name.rpartition('.')[0]}")
                descriptor = f"(L{outer};{descriptor[1:]}"
        if member.default is not None:
            attributes.append(self.attribute("AnnotationDefault", self.element(member)))
        flags = _flags(member.modifiers) | (_VARARGS if member.varargs else 0)
        if self.klass.kind == "interface" and not member.modifiers & {"default", "static"}:
            flags |= _FLAGS["abstract"]
        if not flags & (_FLAGS["abstract"] | _FLAGS["native"]):
            attributes.append(self.attribute("Code", self.code(descriptor, flags)))
        return self.described(flags, name, descriptor, attributes)

    def code(self, descriptor: str, flags: int) -> bytes:
        """`throw null`: nothing here is meant to run."""
        words = 0 if flags & _FLAGS["static"] else 1
        for letter in re.findall(
            r"\[+(?:L[^;]+;|.)|L[^;]+;|.", descriptor[1 : descriptor.index(")")]
        ):
            words += 2 if letter in ("J", "D") else 1
        return struct.pack(">HHI", 1, words, 2) + b"\x01\xbf" + struct.pack(">HH", 0, 0)

    def element(self, member: Member) -> bytes:
        """The default of an annotation's method: enough that a compiler knows there is one."""
        text = member.default or ""
        if member.type.dimensions:
            return b"[\0\0"
        descriptor = self.descriptor(member.type, {})
        if descriptor == "Ljava/lang/String;":
            return b"s" + struct.pack(">H", self.pool.utf8(ast.literal_eval(text)))
        index = self.pool.constant(descriptor, text)
        return descriptor.encode() + struct.pack(">H", index)

    def described(
        self, flags: int, name: str, descriptor: str, attributes: Sequence[bytes]
    ) -> bytes:
        head = struct.pack(
            ">HHHH", flags, self.pool.utf8(name), self.pool.utf8(descriptor), len(attributes)
        )
        return head + b"".join(attributes)

    # --- the class -----------------------------------------------------------------------------

    def bytes(self) -> bytes:
        klass = self.klass
        this = self.internal(f"{klass.package}.{klass.name}") if klass.name not in _NULLNESS else (
            f"android/annotation/{klass.name}"
        )  # fmt: skip
        supers = klass.supers or (
            Type(name="java.lang.Enum", arguments=(Type(name=f"{klass.package}.{klass.name}"),))
            if klass.kind == "enum"
            else Type(name="java.lang.Object"),
        )
        interfaces = klass.interfaces
        if klass.kind == "@interface":
            interfaces = (Type(name="java.lang.annotation.Annotation"),)
        fields = [self.field(m) for m in klass.members if m.kind in ("field", "enum_constant")]
        methods = [self.method(m) for m in klass.members if m.kind in ("ctor", "method")]
        generic = ""
        if klass.type_parameters or any(t.arguments for t in (*supers, *interfaces)):
            generic = self.generic_parameters(klass.type_parameters, self.variables) + "".join(
                self.generic(t, self.variables) for t in (*supers, *interfaces)
            )
        super_name = self.internal(supers[0].name)
        names = [self.pool.klass(self.internal(t.name)) for t in interfaces]
        head = struct.pack(
            f">HHHH{len(names)}H", self.flags(klass) & ~_FLAGS["static"] & ~_FLAGS["protected"]
            | (_FLAGS["public"] if "protected" in klass.modifiers else 0),
            self.pool.klass(this), self.pool.klass(super_name), len(names), *names,
        )  # fmt: skip
        attributes = self.marks(klass.annotations, generic)
        nested = self.nested(this)
        if nested:
            attributes.append(nested)
        body = (
            struct.pack(">H", len(fields)) + b"".join(fields)
            + struct.pack(">H", len(methods)) + b"".join(methods)
            + struct.pack(">H", len(attributes)) + b"".join(attributes)
        )  # fmt: skip
        pool = struct.pack(">H", self.pool.size) + b"".join(self.pool.entries)
        return struct.pack(">IHH", 0xCAFEBABE, 0, _JAVA_8) + pool + head + body

    def flags(self, klass: Class) -> int:
        flags = _flags(klass.modifiers)
        if klass.kind == "interface":
            return flags | _INTERFACE | _FLAGS["abstract"]
        if klass.kind == "@interface":
            return flags | _INTERFACE | _FLAGS["abstract"] | _ANNOTATION
        return flags | _SUPER | (_ENUM | _FLAGS["final"] if klass.kind == "enum" else 0)

    def nested(self, this: str) -> bytes:
        """The InnerClasses attribute: each nested class that this one is, holds or names."""
        wanted = {name for name in self.used | {this} if name in self.inner}
        wanted |= {n for n in self.inner if n.rpartition("$")[0] == this}
        while True:
            outer = {n.rpartition("$")[0] for n in wanted} & self.inner.keys()
            if outer <= wanted:
                break
            wanted |= outer
        if not wanted:
            return b""
        data = struct.pack(">H", len(wanted))
        for name in sorted(wanted):
            klass = self.inner[name]
            flags = self.flags(klass) & ~_SUPER
            if klass.kind != "class":
                flags |= _FLAGS["static"]
            around, _, simple = name.rpartition("$")
            data += struct.pack(
                ">HHHH",
                self.pool.klass(name),
                self.pool.klass(around),
                self.pool.utf8(simple),
                flags,
            )
        return self.attribute("InnerClasses", data)


def _flags(modifiers: Iterable[str]) -> int:
    """Access flags of modifiers; those that class files do not know are left out."""
    return sum(_FLAGS.get(word, 0) for word in set(modifiers))
