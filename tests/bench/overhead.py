"""How long `edgepack build` takes against a bare script that does the same, in pairs.

`python tests/bench/overhead.py [TARGET] [PAIRS]` (`make bench`). The store is empty for every build, the
environments are ready. Both convert EfficientNet-Lite0 to float32 and run 50 real photos through it and
through the source model; Core ML runs on edgepack's own emulator in both.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edgepack import envs, registry

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_apps" / "vision"


def timed(argv: list[str], environment: dict[str, str], folder: Path) -> float:
    started = time.monotonic()
    subprocess.run(argv, check=True, cwd=folder, env=environment, capture_output=True)
    return time.monotonic() - started


def main(target: str, pairs: int) -> None:
    registered = registry.find(target)
    spec = registered.target.convert_in
    lock = registered.folder / spec.lock
    both = envs.ensure(spec, lock, print, requirements=SAMPLE / "requirements.txt")
    ratios = []
    for pair in range(pairs + 1):
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch)
            sample = place / "vision"
            shutil.copytree(SAMPLE, sample, ignore=shutil.ignore_patterns("dist"))
            (place / "cache").mkdir()
            (place / "cache" / "environments").symlink_to(envs.cache_folder() / "environments")
            own = {**os.environ, "EDGEPACK_CACHE": str(place / "cache")}
            edgepack = str(Path(sys.executable).with_name("edgepack"))
            build = [
                edgepack,
                "build",
                "--target",
                target,
                "--precision",
                "fp32",
            ]
            ours = timed(build, own, sample)
            bare = [str(both.python), str(Path(__file__).with_name("bare.py")), target, scratch]
            path = os.pathsep.join([str(sample), str(ROOT / "packager"), str(ROOT / "targets")])
            theirs = timed(bare, {**os.environ, "PYTHONPATH": path}, sample)
        if pair:  # The first pair warms the file system's caches.
            ratios.append(ours / theirs)
            print(f"edgepack {ours:.1f} s, bare {theirs:.1f} s, ratio {ours / theirs:.2f}")  # noqa: T201
    print(f"{target}: median ratio {statistics.median(ratios):.2f} of {pairs} pairs")  # noqa: T201


if __name__ == "__main__":
    main(
        sys.argv[1] if len(sys.argv) > 1 else "litert", int(sys.argv[2]) if len(sys.argv) > 2 else 5
    )
