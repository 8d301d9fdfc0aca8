"""How well the voice sample's artifacts hear: word error rates on forty recorded prompts.

`word_errors.py PROMPTS [WORK]` builds sample_apps/voice at fp32 and fp16 for LiteRT and Core ML (on the
emulator) and has each transcribe the prompts that prompts.py fetched. Exit code 1 if one is more than a
point worse than the source model in PyTorch.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_apps" / "voice"
sys.path.insert(0, str(SAMPLE))

import decoding  # noqa: E402
from speech import log_mel, samples_of  # noqa: E402

from edgepack import envs, registry  # noqa: E402

MOST_POINTS = 1.0
TARGETS = {"litert": ".tflite", "coreml": ".mlpackage"}
PRECISIONS = ("fp32", "fp16")


def main(prompts: Path, work: Path) -> int:
    """Print a table; 0 if every artifact is near the source model."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(prompts.glob("*.txt"))}
    mels = work / "mels.npz"
    np.savez(mels, **{name: log_mel(samples_of(prompts / f"{name}.wav")) for name in texts})
    precisions = [f"--precision={target}={p}" for target in TARGETS for p in PRECISIONS]
    subprocess.run(
        [sys.executable, "-m", "edgepack", "build", SAMPLE, "--dist", work / "dist", *precisions], check=True
    )  # fmt: skip
    reference = transcripts("torch", "-", "-", mels, work)
    wrong = rate(texts, reference)
    say(f"{len(texts)} prompts, {sum(len(words(t)) for t in texts.values())} words")
    say(f"{'pytorch':12}  {100 * wrong:6.2f} %")
    worst = 0.0
    for target, suffix in TARGETS.items():
        for precision in PRECISIONS:
            paths = [
                work / f"dist/voice/{part}-{precision}{suffix}" for part in ("encoder", "decoder")
            ]
            made = transcripts(target, *map(str, paths), mels, work)
            found = rate(texts, made)
            same = sum(made[name] == reference[name] for name in texts)
            say(
                f"{target + '-' + precision:12}  {100 * found:6.2f} %  {same} of {len(texts)} texts equal"
            )
            worst = max(worst, 100 * (found - wrong))
    return int(worst > MOST_POINTS)


def transcripts(kind: str, encoder: str, decoder: str, mels: Path, work: Path) -> dict[str, str]:
    """What is heard in each prompt."""
    out = work / "tokens.json"
    paths = [str(ROOT / "packager"), str(ROOT / "targets")]
    subprocess.run(
        [python_of(kind), Path(__file__).with_name("transcribing.py"), kind, encoder, decoder, mels, out],
        check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    return {name: decoding.text_of(tokens) for name, tokens in json.loads(out.read_text()).items()}


def python_of(kind: str) -> Path:
    """The interpreter of the environment that a kind runs in."""
    if kind == "torch":
        spec, folder = registry.environment_of_sources()
        lock, extra = folder / spec.lock, SAMPLE / "requirements.txt"
        return envs.ensure(spec, lock, say, requirements=extra).python
    found = registry.find(kind)
    spec = found.target.run_in
    return envs.ensure(spec, found.folder / spec.lock, say).python


def rate(texts: dict[str, str], heard: dict[str, str]) -> float:
    """Words that were inserted, left out or replaced, over those that were said."""
    wrong = sum(distance(words(text), words(heard[name])) for name, text in texts.items())
    return wrong / sum(len(words(text)) for text in texts.values())


def words(text: str) -> list[str]:
    """Words without case and punctuation."""
    return re.findall(r"[a-z0-9']+", text.lower().replace("-", " "))


def distance(one: list[str], other: list[str]) -> int:
    """Levenshtein's distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(main(Path(sys.argv[1]), Path(folder)))
