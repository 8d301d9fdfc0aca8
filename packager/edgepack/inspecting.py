"""What a source model or an artifact says of itself."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from edgepack import pipeline, registry, source_files, stages, validating
from edgepack.config import Config, Loaded, Model
from edgepack.console import Console, human_bytes
from edgepack.errors import EdgepackError
from edgepack.plan import BuildPlan, resolve
from edgepack.wire import digest
from edgepack.wire.types import Signature


class Found(Struct, frozen=True, kw_only=True):
    """Facts for a person, signatures, how often each operator occurs, and the program line by line."""

    facts: dict[str, str]
    signatures: list[Signature]
    operators: dict[str, int]
    program: list[str] = []


def artifact(path: Path, registered: registry.Registered, console: Console) -> Found:
    """An artifact of a known suffix. Raises E201, and the target's codes for a damaged file."""
    if not path.exists():
        raise EdgepackError("E201", f"{path} does not exist")
    settings = Config(
        schema=1, model=Model(source="none.pt2"), targets={registered.target.name: {}}
    )
    plan = resolve(Loaded(config=settings, text="", path=path, folder=Path.cwd()), Path("dist"))
    name = registered.target.run_in.name
    wanted = tuple(e for e in plan.environments if e.name == name) or plan.environments[-1:]
    environments = pipeline.make_environments(_only(plan, wanted), console)
    with pipeline.opened(plan, environments, console, 1) as b:
        found = validating.inspect(b, path, registered)
    facts = {
        "file": path.name, "format": found.format, "precision": found.precision,
        "size": human_bytes(digest.size_of_tree(path)), "sha256": digest.of_tree(path), **found.metadata,
    }  # fmt: skip
    return Found(
        facts=facts, signatures=[found.signature], operators=found.operators, program=list(found.program)
    )  # fmt: skip


def model(plan: BuildPlan, console: Console) -> Found:
    """A source model. Raises what loading and exporting it raise."""
    (one,) = plan.models
    digests = source_files.check(one.model)
    plan = _only(plan, tuple(e for e in plan.environments if e.name == "torch"))
    environments = pipeline.make_environments(plan, console)
    with pipeline.opened(plan, environments, console, 1) as b:
        exported = stages.export(b, digests, None, preload=False)
    result = exported.result
    facts = {
        "model": one.name, "kind": one.model.kind, "parameters": f"{result.parameters:,}",
        "sha256": exported.sha256,
        **{f"dimension {d.name}": f"{d.minimum} to {d.maximum}" for d in result.dimensions},
    }  # fmt: skip
    signatures = [e.signature for e in result.exported]
    return Found(facts=facts, signatures=signatures, operators=result.operators)


def _only(plan: BuildPlan, environments: tuple[object, ...]) -> BuildPlan:
    from dataclasses import replace

    return replace(plan, environments=environments)  # type: ignore[arg-type]
