"""Whether the translation sample's artifacts write what its PyTorch model writes: `translations.py [WORK]`.

Builds sample_apps/translation and translates the 200 held-out sentences of sentences.tsv by beam search with
each artifact. Exit code 1 unless tokens at fp32 are all equal and chrF at fp16 is within 0.3.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_apps" / "translation"
sys.path.insert(0, str(ROOT / "tests" / "bench"))

from word_errors import TARGETS, say  # noqa: E402

from edgepack import envs, registry  # noqa: E402
from edgepack.contract import sentencepiece, unigram  # noqa: E402

MOST_CHRF = 0.3
LANGUAGES = {"es": 4, "fr": 5, "de": 6}
END = 3
LENGTH = 64
LIBRARY = ["sacrebleu==2.6.0"]


def main(work: Path) -> int:
    """Print a table; 0 if every artifact holds."""
    install = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--target",
        work / "library",
    ]
    subprocess.run([*install, *LIBRARY], check=True)
    subprocess.run(
        [sys.executable, "-m", "edgepack", "build", SAMPLE, "--dist", work / "dist"], check=True
    )
    languages, english, references = held()
    settings, files = sentencepiece.convert((SAMPLE / "tokenizer.model").read_bytes())
    tokenizer = unigram.load(settings, files)
    sources = [
        [LANGUAGES[language], *unigram.encode(tokenizer, text)[: LENGTH - 2], END]
        for language, text in zip(languages, english, strict=True)
    ]
    config = tomllib.loads((SAMPLE / "edgepack.toml").read_text())
    given = {"sources": sources, "generation": config["tasks"]["translation"]["generation"]}
    (work / "given.json").write_text(json.dumps(given))
    reference = tokens("torch", str(SAMPLE / "weights.safetensors"), "-", work)
    score = chrf(tokenizer, reference, references, work)
    say(f"{len(sources)} sentences\npytorch       chrF {score:5.2f}")
    good = True
    for target, suffix in TARGETS.items():
        for precision in ("fp32", "fp16"):
            parts = [
                work / f"dist/translation/{p}-{precision}{suffix}" for p in ("encoder", "decoder")
            ]
            made = tokens(target, *map(str, parts), work)
            same = sum(a == b for a, b in zip(made, reference, strict=True))
            found = chrf(tokenizer, made, references, work)
            say(f"{target + '-' + precision:12}  chrF {found:5.2f}  {same} of {len(made)} equal")
            good &= same == len(made) if precision == "fp32" else abs(found - score) <= MOST_CHRF
    return int(not good)


def held() -> tuple[list[str], list[str], list[str]]:
    """Language, English and translation of each sentence that the model has not seen."""
    lines = (SAMPLE / "sentences.tsv").read_text(encoding="utf-8").splitlines()
    rows = [row for row in (line.split("\t") for line in lines) if row[0] == "test"][:200]
    chosen = [list(LANGUAGES)[number % len(LANGUAGES)] for number in range(len(rows))]
    column = {language: 2 + place for place, language in enumerate(LANGUAGES)}
    return (
        chosen,
        [row[1] for row in rows],
        [row[column[language]] for row, language in zip(rows, chosen, strict=True)],
    )


def tokens(kind: str, encoder: str, decoder: str, work: Path) -> list[list[int]]:
    """The translations in tokens, in the environment of their kind."""
    if kind == "torch":
        spec, folder = registry.environment_of_sources()
        extra = SAMPLE / "requirements.txt"
        python = envs.ensure(spec, folder / spec.lock, say, requirements=extra).python
    else:
        found = registry.find(kind)
        python = envs.ensure(
            found.target.run_in, found.folder / found.target.run_in.lock, say
        ).python
    out = work / "tokens.json"
    script = Path(__file__).with_name("translating.py")
    paths = [str(ROOT / "packager"), str(ROOT / "targets")]
    subprocess.run(
        [python, script, kind, encoder, decoder, work / "given.json", out, sysconfig.get_path("platlib")],
        check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    made: list[list[int]] = json.loads(out.read_text())
    return made


def chrf(
    tokenizer: unigram.Tokenizer, made: list[list[int]], references: list[str], work: Path
) -> float:
    """chrF2 of the translations, by sacrebleu."""
    sys.path.append(str(work / "library"))
    from sacrebleu.metrics import CHRF  # type: ignore[import-not-found]

    texts = [unigram.decode(tokenizer, found) for found in made]
    return float(CHRF().corpus_score(texts, [references]).score)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1])))
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(main(Path(folder)))
