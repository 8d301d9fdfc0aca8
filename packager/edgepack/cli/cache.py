"""`edgepack cache`: what is kept, why something was made again, and clearing it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from edgepack.errors import EdgepackError

_AGE = re.compile(r"^(\d+)([smhdw])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Listed(Struct, frozen=True):
    """A stored result as it is listed. stored: seconds since the epoch."""

    key: str
    stage: str
    bytes: int
    stored: int


@click.group("cache")
def command() -> None:
    """List, explain and clear what is cached.

    \b
    Example:
      edgepack cache why litert-int8
    """


@command.command("ls")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def ls(*, as_json: bool) -> int:
    """List stored results and environments.

    \b
    Example:
      edgepack cache ls
    """
    from edgepack import envs
    from edgepack.console import Console, human_bytes
    from edgepack.store import Store

    console = Console(json=as_json)
    store = Store(envs.cache_folder() / "store")
    try:
        entries = [Listed(e.key, e.meta.stage, e.meta.bytes, round(t)) for e, t in store.entries()]
    finally:
        store.close()
    environments = {
        str(p): p.name.rpartition("-")[0]
        for p in sorted((envs.cache_folder() / "environments").glob("*-*"))
        if envs.is_ready(p) and p.suffix != ".part"
    }
    if as_json:
        console.answer({"entries": entries, "environments": environments})
        return 0
    rows = [
        (e.key[:16], e.stage, human_bytes(e.bytes), f"{(time.time() - e.stored) / 3600:.1f} h")
        for e in entries
    ]
    console.table("", ("key", "stage", "size", "age"), rows)
    for path, name in environments.items():
        console.text(f"environment {name}: {path}")
    total = human_bytes(sum(e.bytes for e in entries))
    console.text(f"{len(entries)} results, {total}, in {envs.cache_folder()}")
    return 0


@command.command("why")
@click.argument("variant")
@click.argument("model", required=False)
@click.option("--dist", type=click.Path(path_type=Path), default=None, metavar="DIR",
              help="Where the last build went.  [default: dist beside edgepack.toml]")  # fmt: skip
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def why(*, variant: str, model: str | None, dist: Path | None, as_json: bool) -> int:
    """Show what the stages of VARIANT depend on, and what changed since the build before the last.

    \b
    Example:
      edgepack cache why litert-int8
    """
    from edgepack import bundle, plan
    from edgepack.cli import flags
    from edgepack.console import Console

    console = Console(json=as_json)
    loaded = flags.loaded_from(model)
    resolved = plan.resolve(loaded, dist or loaded.folder / "dist")
    folder = Path(resolved.dist)
    built = [
        r
        for name in (resolved.name, f"{resolved.name}-failed")
        if (r := bundle.read_report(folder / name)) is not None
    ]
    report = built[-1] if built else None
    if report is None:
        raise EdgepackError(
            "E115", f"there is no report of a build in {folder}", help="Run `edgepack build` first."
        )
    stages = [
        s
        for s in report.stages
        if s.variant == variant or s.stage in ("export", "samples", "reference")
    ]
    if not any(s.variant == variant for s in stages):
        known = ", ".join(v.id for m in report.plan.models for v in m.variants)
        raise EdgepackError(
            "E115", f"the last build has no variant {variant!r}", why=f"It made: {known}."
        )
    answer = [
        {
            "stage": s.stage,
            "label": s.variant,
            "key": s.key,
            "cached": s.cached,
            "changed": s.changed,
            "parts": s.parts,
        }
        for s in stages
    ]
    if as_json:
        console.answer({"stages": answer})
        return 0
    for s in stages:
        state = "cached" if s.cached else f"made in {s.seconds:.1f} s"
        console.text(f"{s.stage} {s.variant}: {state}, key {s.key[:16]}")
        if s.changed:
            console.text(f"  changed: {', '.join(s.changed)}")
        for part, value in _flat(s.parts):
            console.text(f"  {part} = {value}")
    return 0


def _flat(parts: dict[str, Any]) -> list[tuple[str, str]]:
    """Key parts as lines a person can compare; long values cut."""
    shown = []
    for part, value in parts.items():
        text = str(value)
        shown.append((part, text if len(text) <= 100 else f"{text[:97]}..."))  # noqa: PLR2004
    return shown


@command.command("prune")
@click.option("--older-than", default="30d", show_default=True, metavar="AGE",
              help="Remove what was last used longer ago: 0s, 12h, 30d, 8w.")  # fmt: skip
@click.option(
    "--environments", is_flag=True, help="Remove the environments too; they are made again."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def prune(*, older_than: str, environments: bool, as_json: bool) -> int:
    """Remove stored results.

    \b
    Example:
      edgepack cache prune --older-than 7d
    """
    import shutil

    from edgepack import envs
    from edgepack.console import Console, human_bytes
    from edgepack.store import Store

    match = _AGE.match(older_than)
    if match is None:
        raise EdgepackError(
            "E103", f"--older-than {older_than!r} is no age", help="Write 12h, 30d or 8w."
        )
    console = Console(json=as_json)
    store = Store(envs.cache_folder() / "store")
    try:
        count, size = store.prune(int(match[1]) * _SECONDS[match[2]])
    finally:
        store.close()
    if environments:
        shutil.rmtree(envs.cache_folder() / "environments", ignore_errors=True)
    if as_json:
        console.answer({"removed": count, "bytes": size})
    console.text(f"removed {count} results, {human_bytes(size)}")
    return 0
