"""`edgepack build`: the main job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from edgepack.errors import ANSWER_IS_NO

AS_CONFIGURED = "as-configured"
TASKS = ("generic", "image-classification", "voice", "translation")


@click.command("build")
@click.argument("model", required=False)
@click.option(
    "--target", "targets", multiple=True, metavar="NAME",
    help="A platform (android, ios) or a target (litert, coreml, executorch). Repeat for more.",
)  # fmt: skip
@click.option(
    "--precision", "precisions", multiple=True, metavar="[TARGET=]NAME",
    help="A precision for every target, or for one: --precision coreml=int8-weights. Repeat for more.",
)  # fmt: skip
@click.option("--input", "inputs", multiple=True, metavar="NAME:DTYPE[SHAPE]",
              help='An input, in order: --input "image:float32[1,3,224,224]".')  # fmt: skip
@click.option("--calibration", metavar="DIR|GLOB|FILE.py:FUNCTION", help="Calibration samples.")
@click.option("--validation", metavar="DIR|GLOB|FILE.py:FUNCTION", help="Validation samples.")
@click.option(
    "--app", is_flag=False, flag_value=AS_CONFIGURED, metavar="[TASK]",
    type=click.Choice([AS_CONFIGURED, *TASKS]),
    help="Generate an app project for each platform. TASK: generic, image-classification, voice, "
    "translation.  [default: as edgepack.toml says, else generic]",
)  # fmt: skip
@click.option("--allow", multiple=True, type=click.Choice(["not-run"]),
              help="Accept artifacts that nothing here can run.")  # fmt: skip
@click.option(
    "--allow-pickle", is_flag=True, help="Trust the model's files and execute their pickles."
)
@click.option("--dist", type=click.Path(path_type=Path), default=None, metavar="DIR",
              help="Where the result goes.  [default: dist beside edgepack.toml]")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 64), default=None, metavar="N",
              help="Processes at once.  [default: by cores and memory]")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the plan, do nothing.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def command(**flags: Any) -> int:
    """Convert MODEL for each target, verify every artifact, package the result.

    MODEL is file.py:factory, a .pt2 or TorchScript .pt file, or an edgepack.toml (or its folder).
    Without MODEL, edgepack.toml in this folder says everything; flags override it.

    \b
    Examples:
      edgepack build
      edgepack build model.pt2 --target android --target ios
      edgepack build net.py:make --input "image:float32[1,3,224,224]" \\
          --target android --precision int8 --calibration photos/ --app
    """
    from edgepack import console as consoles
    from edgepack import plan as plans
    from edgepack.cli import flags as from_flags

    console = consoles.Console(json=flags["as_json"])
    loaded = from_flags.config_of(flags)
    plan = plans.resolve(loaded, flags["dist"] or loaded.folder / "dist")
    if flags["dry_run"]:
        if flags["as_json"]:
            console.answer(plan)
        else:
            _show_plan(console, plan)
        return 0

    from edgepack import pipeline

    outcome = pipeline.build(plan, console, flags["jobs"] or slots())
    verdicts = {a.parity.verdict for a in outcome.manifest.artifacts}
    if flags["as_json"]:
        console.answer({"folder": str(outcome.folder), "manifest": outcome.manifest})
    else:
        _show_outcome(console, plan, outcome)
    fine = verdicts <= {"pass", *plan.allow}
    return 0 if fine else ANSWER_IS_NO


def slots() -> int:
    """Processes at once: one per core, and no more than memory holds at 3 GB each."""
    import psutil

    by_memory = int(psutil.virtual_memory().total // 3_000_000_000)
    return max(1, min(os.cpu_count() or 1, by_memory))


def _show_plan(console: Any, plan: Any) -> None:
    """The plan for people; --json gives it whole."""
    for model in plan.models:
        _show_model(console, model)
    for app in plan.apps:
        console.text(
            f"app          {app.platform}: {app.name} ({app.id}), {app.task}, "
            f"around {', '.join(app.variants)}"
        )
    for environment in plan.environments:
        console.text(f"environment  {environment.name}: {environment.python or 'made by edgepack'}")
    console.text(f"output       {Path(plan.dist) / plan.name}")


def _show_model(console: Any, model: Any) -> None:
    """One model of the plan."""
    import msgspec

    console.text(f"model        {model.name}: {model.model.kind}, {model.model.location}")
    for spec in model.inputs:
        console.text(
            f"input        {spec.name}: {spec.dtype or 'dtype from the model'} {spec.shape or ''}"
        )
    for dimension in model.dimensions:
        console.text(
            f"dimension    {dimension.name}: {dimension.minimum} to {dimension.maximum}, "
            f"{dimension.fixed} where it must be fixed"
        )
    for role, samples in (("calibration", model.calibration), ("validation", model.validation)):
        if samples is not None:
            console.text(
                f"{role:<12} {samples.kind} {samples.location} (at most {samples.cases} cases)"
            )
    for variant in model.variants:
        limits = {
            k: v
            for k, v in msgspec.to_builtins(model.limits[variant.recipe.precision]).items()
            if v is not None
        }
        console.text(f"variant      {variant.id}: {dict(variant.recipe.options)} limits {limits}")


def _show_outcome(console: Any, plan: Any, outcome: Any) -> None:
    """The summary: a table of variants, where things are, what was not run."""
    from edgepack.console import human_bytes
    from edgepack.verdict import uncertainty

    rows = []
    for artifact in outcome.manifest.artifacts:
        tensors = artifact.parity.tensors
        worst = min((t.sqnr_db for t in tensors), default=None)
        agreements = [t.argmax_agreement for t in tensors if t.argmax_agreement is not None]
        rows.append(
            (
                artifact.variant,
                human_bytes(artifact.bytes),
                artifact.parity.verdict,
                "-" if worst is None else ("equal" if worst >= 999 else f"{worst:.1f} dB"),  # noqa: PLR2004
                f"{min(agreements):.1%}" if agreements else "-",
                artifact.parity.fidelity,
                f"{artifact.parity.cases} {artifact.parity.evidence}"
                if artifact.parity.cases
                else "-",
            )
        )
    columns = ("variant", "size", "verdict", "worst SQNR", "top-1", "fidelity", "samples")
    console.text()
    console.table("", columns, rows)
    console.text()
    for artifact in outcome.manifest.artifacts:
        if artifact.parity.verdict != "pass":
            console.text(f"{artifact.parity.verdict}  {artifact.variant}: {artifact.parity.reason}")
    for report in outcome.report.parity:
        remarks = report.notes if report.verdict == "fail" else []
        for sentence in (*uncertainty(report), *remarks):
            console.say(f"note     {report.variant}: {sentence}")
    for warning in outcome.report.warnings:
        console.say(f"note     {warning}")
    console.text(f"written  {outcome.folder}  ({outcome.seconds:.1f} s)")
    for app in outcome.manifest.apps:
        console.text(f"app      {outcome.folder / app.path}")
    blocked = [a.variant for a in outcome.manifest.artifacts if a.parity.verdict == "not-run"]
    if blocked and "not-run" not in plan.allow:
        console.text(
            "An artifact that was not run is not verified; accept it with --allow not-run."
        )
