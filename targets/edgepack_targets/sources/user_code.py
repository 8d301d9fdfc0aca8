"""Importing a file of the user's, calling a function in it, and saying what else of theirs it pulled in."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from edgepack.errors import EdgepackError
from edgepack.wire import digest


def import_file(location: str, project: str) -> ModuleType:
    """The module in the Python file `location`, with `project` importable from it.

    The project folder goes behind the standard library and before site-packages, so that a user's
    `types.py` cannot break Python and an installed `data` cannot hide theirs.
    Raises E206 if the file does not exist, E207 if it raises while it is imported.
    """
    path = Path(location)
    if not path.is_file():
        raise EdgepackError(
            "E206", f"{path} does not exist", help="Name it as path/to/file.py:function."
        )
    if project:
        packages = sysconfig.get_path("purelib")
        at = sys.path.index(packages) if packages in sys.path else len(sys.path)
        sys.path.insert(at, project)
    name = f"edgepack_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    loader = spec.loader
    assert loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    call(lambda: loader.exec_module(module), f"importing {path.name}", path)
    return module


def function_in(module: ModuleType, name: str) -> Callable[..., Any]:
    """The function `name` of a user's module. Raises E206, listing what is there."""
    function = getattr(module, name, None)
    if callable(function):
        return function
    names = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
    raise EdgepackError(
        "E206",
        f"{Path(str(module.__file__)).name} has no function {name!r}",
        why=f"It defines: {', '.join(names) or 'no functions'}.",
        help="Correct the name after the colon.",
    )


def call(function: Callable[[], Any], doing: str, path: Path) -> Any:
    """What `function` returns; anything it raises becomes E207 that points at the user's own line."""
    try:
        return function()
    except EdgepackError:
        raise
    except ModuleNotFoundError as error:
        raise EdgepackError(
            "E207",
            f"{doing} failed: no module named {error.name!r}",
            why=_own_frames(error, path),
            help="Install it where the model's code runs: list it in [model] requirements, or point "
            "[model] python at an environment that has it.",
        ) from error
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())[:500]
        raise EdgepackError(
            "E207",
            f"{doing} raised {type(error).__name__}: {said}",
            why=_own_frames(error, path),
            help="The full traceback is in the log.",
        ) from error


def dependencies(project: str, location: str) -> tuple[tuple[str, str], ...]:
    """(path, sha256) of every Python file below `project` that is imported now, and of `location`."""
    root = Path(project).resolve() if project else Path(location).resolve().parent
    found = {str(Path(location).resolve())}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str):
            continue
        path = Path(file).resolve()
        inside = path.is_relative_to(root) and "site-packages" not in path.parts
        if inside and path.suffix == ".py" and "edgepack_targets" not in path.parts:
            found.add(str(path))
    return tuple((p, digest.of_file(Path(p))) for p in sorted(found) if os.path.exists(p))  # noqa: PTH110


def _own_frames(error: BaseException, path: Path) -> str:
    """The innermost traceback lines that lie in the user's folder, as Python prints them."""
    if isinstance(error, SyntaxError) and error.filename:
        return f'File "{error.filename}", line {error.lineno}: {(error.text or "").strip()}'
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(path.parent)]
    lines = [f'File "{f.filename}", line {f.lineno}: {f.line}' for f in (own or frames)[-3:]]
    return "\n".join(lines)
