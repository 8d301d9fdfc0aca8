"""The table of operators, after a look whether it is what coremltools' registry says."""

from __future__ import annotations

import sys

from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

from edgepack_targets.coreml.emulator import coverage


def main() -> None:
    since: dict[int, set[str]] = {18: {"write_state"}}
    for name, versions in SSAOpRegistry.core_ops.items():
        if not name.startswith("_"):
            first = max(15, min(int(target.name.removeprefix("iOS")) for target in versions))
            since.setdefault(first, set()).add(name)
    assert {ios: set(names) for ios, names in coverage.SINCE.items()} == since
    sys.stdout.write(f"{coverage.table()}\n")


if __name__ == "__main__":
    main()
