"""`edgepack validate`: is this artifact still the model it came from?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from edgepack.errors import ANSWER_IS_NO, EdgepackError


@click.command("validate")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--against", "model", required=True, metavar="MODEL",
              help="The source model: file.py:factory, .pt2, .pt, or an edgepack.toml.")  # fmt: skip
@click.option(
    "--model", "model_name", metavar="NAME", help="Which of several models in edgepack.toml."
)
@click.option(
    "--precision", metavar="NAME", help="Whose limits apply.  [default: what the artifact says]"
)
@click.option("--input", "inputs", multiple=True, metavar="NAME:DTYPE[SHAPE]",
              help='An input, in order: --input "image:float32[1,3,224,224]".')  # fmt: skip
@click.option("--validation", metavar="DIR|GLOB|FILE.py:FUNCTION", help="Validation samples.")
@click.option("--trace", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Write every operation's result on the first sample there (.mlpackage).")  # fmt: skip
@click.option("--allow", multiple=True, type=click.Choice(["not-run"]),
              help="Accept an artifact that nothing here can run.")  # fmt: skip
@click.option(
    "--allow-pickle", is_flag=True, help="Trust the model's files and execute their pickles."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def command(**flags: Any) -> int:
    """Run ARTIFACT and compare it with the model it came from.

    ARTIFACT is a .tflite, .pte or .mlpackage, made by edgepack or by anything else.

    \b
    Example:
      edgepack validate model.tflite --against model.pt2 --validation photos/
    """
    from edgepack import config, registry, validating
    from edgepack import plan as plans
    from edgepack.cli import flags as from_flags
    from edgepack.cli.build import slots
    from edgepack.console import Console

    path: Path = flags["artifact"]
    if not path.exists():
        raise EdgepackError("E201", f"{path} does not exist")
    registered = registry.for_suffix(path.suffix)
    if registered is None:
        known = ", ".join(r.target.suffix for r in registry.targets().values())
        raise EdgepackError(
            "E203", f"{path.name} is no artifact edgepack knows", why=f"It reads {known}."
        )
    console = Console(json=flags["as_json"])
    base = from_flags.config_of({**flags, "targets": (), "precisions": ()})
    base = from_flags.only(base, flags["model_name"])
    first = registered.target.precisions[0].name
    settings = msgspec.structs.replace(
        base.config, targets={registered.target.name: {"precisions": [first]}}, apps={}
    )
    loaded = config.Loaded(config=settings, text=base.text, path=base.path, folder=base.folder)
    plan = plans.resolve(loaded, loaded.folder / "dist")
    report = validating.validate(plan, path, flags["precision"], console, slots(), flags["trace"])
    if flags["as_json"]:
        console.answer(report)
    else:
        show(console, report)
    fine = report.verdict == "pass" or report.verdict in flags["allow"]
    return 0 if fine else ANSWER_IS_NO


def show(console: Any, report: Any) -> None:
    """The report for people: a row per output, worst case first, and the verdict."""
    from edgepack.verdict import uncertainty

    rows = [
        (
            t.name,
            f"{t.max_abs.worst:.3g}",
            f"{t.sqnr_db.worst:.1f} / {t.sqnr_db.median:.1f}",
            f"{t.psnr_db.worst:.1f} / {t.psnr_db.median:.1f}",
            f"{t.cosine.worst:.7f}",
            "-" if t.argmax_agreement is None else f"{t.argmax_agreement:.1%}",
        )
        for t in report.tensors
    ]
    if rows:
        columns = (
            "output",
            "max abs",
            "SQNR dB worst / median",
            "PSNR dB worst / median",
            "cosine",
            "agreement",
        )
        console.table("", columns, rows)
        console.text()
    console.text(f"runtime   {report.runtime} ({report.fidelity})")
    console.text(f"samples   {report.cases} {report.evidence}")
    console.text(f"{report.verdict:<9} {report.reason}")
    for note in (*uncertainty(report), *report.notes):
        console.text(f"note      {note}")
    for miss in report.misses:
        case = "" if miss.case is None else f", worst on sample {miss.case}"
        console.text(
            f"  {miss.output!r}: {miss.metric} {miss.value:.6g}, limit {miss.limit:.6g}{case}"
        )
