"""`edgepack app`: an app project to work on, and to bring up to date later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgepack.cli.build import AS_CONFIGURED, TASKS, slots
from edgepack.errors import ANSWER_IS_NO


@click.command("app")
@click.argument("model", required=False)
@click.option(
    "--platform", required=True, type=click.Choice(["android", "ios"]), help="The app's platform."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Where the project goes: a new or empty folder, or with --update an app of edgepack's.")  # fmt: skip
@click.option("--update", is_flag=True,
              help="Bring the app in DIR up to date; files that you changed stay as they are.")  # fmt: skip
@click.option("--task", type=click.Choice([AS_CONFIGURED, *TASKS]), default=AS_CONFIGURED,
              metavar="TASK", help="generic, image-classification, voice or translation.  "
              "[default: as edgepack.toml says, else generic]")  # fmt: skip
@click.option(
    "--variant",
    metavar="NAME",
    help="What it carries, such as litert-int8.  [default: the smallest]",
)
@click.option("--input", "inputs", multiple=True, metavar="NAME:DTYPE[SHAPE]",
              help="An input, in order, where there is no edgepack.toml.")  # fmt: skip
@click.option("--id", "app_id", metavar="ID", help="Application id or bundle identifier.")
@click.option("--name", metavar="NAME", help="The app's name, as people see it.")
@click.option("--allow", multiple=True, type=click.Choice(["not-run"]),
              help="Accept artifacts that nothing here can run.")  # fmt: skip
@click.option(
    "--allow-pickle", is_flag=True, help="Trust the model's files and execute their pickles."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def command(**flags: Any) -> int:
    """Generate an app around MODEL, in a folder that is yours.

    MODEL is what `edgepack build` takes; what a build has made is taken from the cache. The apps of a build,
    in dist/NAME/apps, are replaced by the next one; this one is not.

    DIR/edgepack-generated.json lists the generated files. Change any of them: --update replaces those
    that are still as generated or gone, and the models, and names those it leaves alone. Files of your
    own are never touched.

    \b
    Examples:
      edgepack app --platform android --out ~/flowers-android
      edgepack app --platform android --out ~/flowers-android --update
    """
    import dataclasses

    from edgepack import console as consoles
    from edgepack import generated, pipeline, store
    from edgepack import plan as plans
    from edgepack.cli import flags as from_flags
    from edgepack_templates import read

    console = consoles.Console(json=flags["as_json"])
    out: Path = flags["out"]
    payload = read(flags["platform"]).payload
    loaded = from_flags.app_config_of(flags)
    plan = plans.resolve(loaded, loaded.folder / "dist")
    with store.disk_errors(out):
        if flags["update"]:
            generated.refuse_foreign(out, payload)
        else:
            generated.refuse_full(out)
    store.refuse_unwritable(out)
    done: list[generated.Updated] = []

    def put(_: Any, fresh: Path) -> None:
        with store.disk_errors(out):
            done.append(
                generated.update(fresh, out, payload)
                if flags["update"]
                else generated.put(fresh, out)
            )

    reports = pipeline.apps(plan, console, slots(), put)
    verdicts = {report.verdict for report in reports}
    if flags["as_json"]:
        change = dataclasses.asdict(done[0]) if done else None
        console.answer({"folder": str(out), "change": change, "parity": reports})
    else:
        _show(console, out, reports, done)
    return 0 if verdicts <= {"pass", *plan.allow} else ANSWER_IS_NO


def _show(console: Any, out: Path, reports: list[Any], done: list[Any]) -> None:
    """What was made, and what was not touched."""
    for report in reports:
        if report.verdict != "pass":
            console.text(f"{report.verdict}  {report.variant}: {report.reason}")
    for change in done:
        console.text(f"written  {len(change.written)} files, removed {len(change.removed)}")
        for name in change.kept:
            console.text(f"kept     {name}, which you changed")
        console.text(f"app      {out}")
    if not done:
        console.text("No app was written: what it would carry fails its limits.")
