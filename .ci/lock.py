"""Resolve every declared environment into its lock: `python .ci/lock.py [NAME ...]` (`make lock`).

A lock is universal (markers for every platform) and pins versions with hashes. PyTorch carries no hash,
because its CPU and CUDA builds share a version, and the CUDA packages that only the CUDA build needs are
left out: where that build is all there is, its own metadata pins them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "packager"), str(ROOT / "targets")]

from edgepack import registry  # noqa: E402

UNHASHED = ("torch==",)
CUDA_ONLY = ("nvidia-", "cuda-", "triton==")


def main(names: list[str]) -> None:
    """Write the locks of the named environments, or of all."""
    spec, folder = registry.environment_of_sources()
    jobs = {spec.name: (spec, folder)}
    for registered in registry.targets().values():
        for spec in (registered.target.convert_in, registered.target.run_in):
            jobs[spec.name] = (spec, registered.folder)
    for name, (spec, folder) in jobs.items():
        if names and name not in names:
            continue
        text = resolve(spec.requirements)
        (folder / spec.lock).write_text(
            f"# {spec.name}: {' '.join(spec.requirements)}\n{text}", encoding="utf-8"
        )
        print(f"{name}: {len(re.findall(r'^[a-z0-9]', text, re.MULTILINE))} packages")  # noqa: T201


def resolve(requirements: tuple[str, ...]) -> str:
    """The pinned requirements as text, one block per package."""
    done = subprocess.run(
        [find_uv_bin(), "pip", "compile", "-", "--universal", "--python-version", "3.11",
         "--generate-hashes", "--no-annotate", "--no-header", "--no-config", "--quiet"],
        input="\n".join(requirements), capture_output=True, text=True, check=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("UV_")},
    )  # fmt: skip
    blocks = re.split(r"^(?=\S)", done.stdout, flags=re.MULTILINE)
    kept = []
    for block in blocks:
        if block.startswith(UNHASHED):
            kept.append(block.partition(" \\")[0].strip() + "\n")
        elif not block.startswith(CUDA_ONLY):
            kept.append(block)
    return "".join(kept)


if __name__ == "__main__":
    main(sys.argv[1:])
