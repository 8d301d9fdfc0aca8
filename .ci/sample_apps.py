"""Rebuild the samples and put the sources of their apps beside them: `python .ci/sample_apps.py [SAMPLE ...]`.

Models, golden cases and what describes them come with `edgepack build`; the sources are kept so that they
can be read. A unit test renders them anew and looks for differences.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "packager"), str(ROOT / "templates")]

import edgepack_templates as templates  # noqa: E402
from edgepack import generated  # noqa: E402

SAMPLES = ("vision", "voice", "translation")


def main(names: list[str]) -> None:
    """Build each sample and keep the sources of its apps."""
    for name in names or SAMPLES:
        sample = ROOT / "sample_apps" / name
        with tempfile.TemporaryDirectory() as scratch:
            build = [sys.executable, "-m", "edgepack", "build", sample, "--dist", scratch]
            subprocess.run(build, check=True)
            (apps,) = Path(scratch).glob("*/apps")
            for app in apps.iterdir():
                keep(app, sample / "apps" / app.name)


def keep(app: Path, kept: Path) -> None:
    """The app without its models and golden cases."""
    payload = templates.read(app.name).payload
    shutil.rmtree(kept, ignore_errors=True)
    for path in sorted(p for p in app.rglob("*") if p.is_file()):
        name = path.relative_to(app)
        inside = name.as_posix().startswith(f"{payload}/")
        if name.as_posix() == generated.LISTING or (inside and name.name != "edgepack.json"):
            continue
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, kept / name)


if __name__ == "__main__":
    main(sys.argv[1:])
