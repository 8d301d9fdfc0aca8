"""Proof that each environment works: a tiny model through every target, converted and run.

The model is a Python file that needs nothing but torch, so that the proof goes the way a user's model
goes: export, convert, run, compare.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

import msgspec
from msgspec import Struct

from edgepack import config, envs, pipeline, plan, registry
from edgepack.console import Console
from edgepack.errors import EdgepackError

TINY_MODEL = "tiny.py"
"""Beside the code that exports models: it runs in their Python, not in this one."""


class Finding(Struct, frozen=True, kw_only=True):
    """What was found of one target. bytes: of its environment on disk, shared files counted once each."""

    target: str
    environment: str
    works: bool
    bytes: int
    python: str
    versions: dict[str, str]
    problem: str


def examine(names: tuple[str, ...], console: Console) -> list[Finding]:
    """One finding per target named, or for all; environments that are missing are made."""
    wanted = {registry.find(n).target.name for n in names} if names else set(registry.targets())
    folder = envs.cache_folder() / "doctor"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(registry.environment_of_sources()[1] / TINY_MODEL, folder / TINY_MODEL)
    return [_examine(name, folder, console) for name in registry.targets() if name in wanted]


def _examine(name: str, folder: Path, console: Console) -> Finding:
    target = registry.find(name).target
    settings = config.Config(
        schema=1,
        model=config.Model(
            name=f"tiny-{name}",
            source="tiny.py:make",
            inputs=[config.Input(name="image", dtype="float32", shape=[1, 3, 8, 8])],
        ),
        targets={name: {"precisions": [target.precisions[0].name]}},
    )
    loaded = config.Loaded(config=settings, text="", path=folder / config.FILE_NAME, folder=folder)
    problem, versions, verdict = "", {}, ""
    # A store of its own: a stored result would prove nothing about the environment as it is now.
    cache = folder / f"store-{uuid.uuid4().hex[:8]}"
    try:
        made = pipeline.build(
            plan.resolve(loaded, folder / "dist"),
            console,
            os.cpu_count() or 1,
            cache,
        )
        artifact = made.manifest.artifacts[0]
        versions, verdict = artifact.versions, artifact.parity.verdict
        problem = "" if verdict == "pass" else artifact.parity.reason
    except EdgepackError as error:
        problem = f"{error.code} {error.message}"
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    location = envs.folder_of(
        target.convert_in, registry.find(name).folder / target.convert_in.lock
    )
    size = sum(p.stat().st_size for p in location.rglob("*") if p.is_file() and not p.is_symlink())
    python = envs.describe(envs.python_in(location)).version if envs.is_ready(location) else "-"
    converted = bool(versions) and verdict in ("pass", "not-run")
    return Finding(
        target=name, environment=target.convert_in.name, works=converted, bytes=size, python=python,
        versions=msgspec.to_builtins(versions), problem=problem,
    )  # fmt: skip
