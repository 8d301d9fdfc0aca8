"""The targets there are: the built-in ones, and those that other packages register.

A target is a module with `TARGET` (data) and the functions `convert`, `run` and `inspect`. Third
parties name theirs in the entry-point group `edgepack.targets`. Importing one imports no framework.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from edgepack.errors import EdgepackError
from edgepack.wire import digest
from edgepack.wire.types import EnvironmentSpec, Precision, Target

BUILT_IN = ("litert", "coreml", "executorch")
GROUP = "edgepack.targets"
SOURCES = "edgepack_targets.sources"


@dataclass(frozen=True, slots=True)
class Registered:
    """A target and where its code lies: module as a worker imports it, folder of that module."""

    target: Target
    module: str
    folder: Path

    def precision(self, name: str) -> Precision:
        """The precision called `name`. Raises E106, listing what the target offers."""
        for precision in self.target.precisions:
            if precision.name == name:
                return precision
        names = [p.name for p in self.target.precisions]
        raise EdgepackError(
            "E106",
            f"target {self.target.name} has no precision {name!r}",
            why=f"It offers: {', '.join(names)}.",
            help=_did_you_mean(name, names),
        )


@cache
def targets() -> dict[str, Registered]:
    """Every target by name, built-in first. Raises E105 for a registered module that is none."""
    found: dict[str, Registered] = {}
    modules = [f"edgepack_targets.{name}" for name in BUILT_IN]
    modules += sorted(point.module for point in entry_points(group=GROUP))
    for name in modules:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise _no_target(name, "cannot be imported", str(error)) from error
        target = getattr(module, "TARGET", None)
        if not isinstance(target, Target):
            raise _no_target(name, "has no TARGET")
        if target.name in found:
            other = found[target.name].module
            raise _no_target(name, f"has the name of another, {target.name!r}", f"It is {other}'s.")
        found[target.name] = Registered(target, name, Path(str(module.__file__)).parent)
    return found


def _no_target(module: str, what: str, why: str = "") -> EdgepackError:
    return EdgepackError(
        "E105",
        f"{module} is registered as a target but {what}",
        why=why,
        help=f"Uninstall the package, or ask its author: entry point group {GROUP}.",
    )


def find(name: str) -> Registered:
    """The target called `name`; a platform means its default target. Raises E105."""
    known = targets()
    if name in known:
        return known[name]
    for registered in known.values():
        if name in registered.target.default_for:
            return registered
    names = sorted({*known, *(p for r in known.values() for p in r.target.default_for)})
    raise EdgepackError(
        "E105",
        f"there is no target {name!r}",
        why=f"Targets and platforms: {', '.join(names)}.",
        help=_did_you_mean(name, names),
    )


def for_suffix(suffix: str) -> Registered | None:
    """The target whose artifacts end so, or that reads such files, or None."""
    return next(
        (r for r in targets().values() if suffix in (r.target.suffix, *r.target.reads)), None
    )


def environment_of_sources() -> tuple[EnvironmentSpec, Path]:
    """The environment for models that bring none, and the folder of its lock."""
    module = importlib.import_module(SOURCES)
    return module.ENVIRONMENT, Path(str(module.__file__)).parent


def packages(module: str) -> dict[str, str]:
    """Packages a worker must mount to import `module`: name to folder, ours first as others import it."""
    mounted = {}
    for name in dict.fromkeys(("edgepack_targets", module.partition(".")[0])):
        mounted[name] = str(_folder_of(name))
    return mounted


def _folder_of(package: str) -> Path:
    """Where a package lies."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@cache
def code_digest(folder: Path) -> str:
    """Digest of the code a job runs: the Python files of `folder` and of the wire."""
    here = Path(__file__).parent
    files = {f"code/{f.relative_to(folder).as_posix()}": f for f in folder.rglob("*.py")}
    files |= {f"wire/{f.name}": f for f in (*(here / "wire").glob("*.py"), here / "errors.py")}
    return digest.of_value(sorted((name, digest.of_file(f)) for name, f in files.items()))


def running_digest(registered: Registered) -> str:
    """Digest of the code that `run` of a target uses: its own folder's and what it borrows."""
    folders = [registered.folder, *map(_folder_of, registered.target.borrows)]
    return digest.of_value([code_digest(folder) for folder in folders])


@cache
def tree_digest(folder: Path) -> str:
    """Digest of every file in a folder of ours, compiled Python left out."""
    files = [p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return digest.of_value(
        sorted((p.relative_to(folder).as_posix(), digest.of_file(p)) for p in files)
    )


def _did_you_mean(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else ""
