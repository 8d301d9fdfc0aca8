"""`edgepack targets`: what can be built."""

from __future__ import annotations

import click


@click.command("targets")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def command(*, as_json: bool) -> int:
    """List the targets, their precisions and options.

    \b
    Example:
      edgepack targets
    """
    from edgepack import registry
    from edgepack.console import Console

    console = Console(json=as_json)
    targets = [r.target for r in registry.targets().values()]
    if as_json:
        console.answer({"targets": targets})
        return 0
    rows = []
    for target in targets:
        precisions = ", ".join(
            p.name + (" (calibrated)" if p.needs_calibration else "") for p in target.precisions
        )
        runs = "no" if target.not_run else "yes"
        default = ", ".join(target.default_for)
        rows.append(
            (target.name, target.suffix, ", ".join(target.platforms), default, precisions, runs)
        )
    console.table(
        "", ("target", "artifact", "platforms", "default for", "precisions", "runs here"), rows
    )
    for target in targets:
        for option in target.options:
            choices = f" ({', '.join(map(str, option.choices))})" if option.choices else ""
            console.text(
                f"[targets.{target.name}] {option.name} = {option.default!r}{choices}: {option.help}"
            )
    return 0
