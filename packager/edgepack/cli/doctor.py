"""`edgepack doctor`: does everything work here?"""

from __future__ import annotations

import click

from edgepack.errors import ANSWER_IS_NO


@click.command("doctor")
@click.option(
    "--target", "names", multiple=True, metavar="NAME", help="Only this target. Repeat for more."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def command(*, names: tuple[str, ...], as_json: bool) -> int:
    """Make every environment that is missing and prove each with a tiny conversion and a run.

    \b
    Example:
      edgepack doctor --target android
    """
    from edgepack import doctoring, envs
    from edgepack.console import Console, human_bytes

    console = Console(json=as_json)
    console.say(f"cache  {envs.cache_folder()}")
    findings = doctoring.examine(names, console)
    if as_json:
        console.answer({"cache": str(envs.cache_folder()), "environments": findings})
    else:
        rows = [
            (
                f.target,
                f.environment,
                "pass" if f.works else "fail",
                human_bytes(f.bytes),
                f.python,
                ", ".join(f"{k} {v}" for k, v in f.versions.items()),
            )
            for f in findings
        ]
        console.table("", ("target", "environment", "works", "size", "python", "versions"), rows)
        for f in findings:
            if f.problem:
                console.text(f"{f.target}: {f.problem}")
    return 0 if all(f.works for f in findings) else ANSWER_IS_NO
