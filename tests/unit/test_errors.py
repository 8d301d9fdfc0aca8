"""Every code is documented, every documented code is raised, and a shell sees its family."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepack import error_codes, errors
from edgepack.errors import EdgepackError

ROOT = Path(__file__).parent.parent.parent
CODE = re.compile(r"\bE\d{3}\b")
SOURCES = sorted(
    path
    for folder in ("packager", "targets", "templates")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)


def literals(path: Path) -> Iterator[str]:
    """Every string in a Python file that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in statements:
            yield str(node.value)


def places(texts: dict[Path, str]) -> dict[str, list[str]]:
    """Code to the files that name it."""
    found: dict[str, list[str]] = {}
    for path, text in texts.items():
        for code in set(CODE.findall(text)):
            found.setdefault(code, []).append(path.relative_to(ROOT).as_posix())
    return found


RAISED = places({path: "\n".join(literals(path)) for path in SOURCES})
MENTIONED = places({path: path.read_text(encoding="utf-8") for path in SOURCES})
DOCUMENTED = error_codes.load()
TOML = (Path(error_codes.__file__).with_name("error_codes.toml")).read_text(encoding="utf-8")


def test_every_code_that_is_raised_or_mentioned_is_documented() -> None:
    missing = [
        f"{c}: {', '.join(MENTIONED[c])}" for c in sorted(MENTIONED.keys() - DOCUMENTED.keys())
    ]
    assert not missing, "\n".join(missing)


def test_every_documented_code_is_raised_unless_a_comment_says_why() -> None:
    explained = set(re.findall(r"^#.*\n\[(E\d{3})\]", TOML, re.MULTILINE))
    assert sorted(DOCUMENTED.keys() - RAISED.keys() - explained) == []


def test_every_text_says_something_and_is_a_sentence() -> None:
    for code, entry in DOCUMENTED.items():
        assert entry.title, code
        assert not entry.title.endswith("."), code
        for text in (entry.what, entry.why, entry.instead):
            assert len(text) > 10, code
            assert re.match(r"[A-Z`\[]|(torch|uv|edgepack)\b", text), code
            assert text[-1] in ".?", code


def test_titles_and_numbers_are_unique_and_in_order() -> None:
    titles = [entry.title for entry in DOCUMENTED.values()]
    assert len(set(titles)) == len(titles)
    codes = re.findall(r"^\[(\w+)\]", TOML, re.MULTILINE)
    assert codes == sorted(codes)


@pytest.mark.parametrize(
    ("family", "exit_code"), [("1", 2), ("2", 3), ("3", 4), ("4", 5), ("5", 6), ("6", 7), ("9", 70)]
)
def test_a_shell_sees_the_family_of_a_code(family: str, exit_code: int) -> None:
    codes = [code for code in DOCUMENTED if code[1] == family]
    assert codes
    for code in codes:
        assert EdgepackError(code, "x").exit_code == exit_code
        assert errors.exit_code_of(code) == exit_code


def test_a_family_that_does_not_exist_is_a_bug() -> None:
    assert {code[1] for code in DOCUMENTED} <= set("1234569")
    assert errors.exit_code_of("E777") == errors.BUG
    assert (
        len({errors.OK, errors.ANSWER_IS_NO, errors.BUG, errors.INTERRUPTED, 2, 3, 4, 5, 6, 7})
        == 10
    )


def test_an_error_keeps_its_words() -> None:
    error = EdgepackError("E301", "no", why="because", help="do", log="/x")
    assert str(error) == "E301: no"
    assert (error.message, error.why, error.help, error.log) == ("no", "because", "do", "/x")
    plain = EdgepackError("E301", "no")
    assert (plain.why, plain.help, plain.log) == ("", "", "")


@pytest.mark.parametrize("written", ["E108", "e108", "108"])
def test_a_code_is_found_however_it_is_written(written: str) -> None:
    name, entry = error_codes.find(written, DOCUMENTED)
    assert name == "E108"
    assert "calibration" in entry.title


@pytest.mark.parametrize("written", ["E1088", "x", "", "E999"])
def test_an_unknown_code_is_e114(written: str) -> None:
    with pytest.raises(EdgepackError) as caught:
        error_codes.find(written, DOCUMENTED)
    assert caught.value.code == "E114"
    assert caught.value.help
