"""The Kotlin core writes down what the PyTorch model hears, driven by what the LiteRT artifact answered.

Twenty recorded prompts; the LiteRT decoder's logits are recorded step by step, and the core gets them one
after the other in place of a model.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgepack.verifying import kotlinc, tools
from edgepack.verifying.kotlinc import Call

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_apps" / "voice"
CORE = ROOT / "templates/edgepack_templates/android/app/src/main/kotlin/dev/edgepack/app/core"
PROMPTS = 20


@pytest.fixture(scope="module")
def prompts(shared_cache: Path) -> Path:
    """Recorded prompts with their transcripts."""
    folder = shared_cache / "test-prompts"
    fetching = [sys.executable, ROOT / "tests/bench/prompts.py", folder]
    subprocess.run(fetching, check=True, capture_output=True, timeout=300)
    return folder


@pytest.mark.slow
def test_the_kotlin_core_writes_what_the_source_model_hears(
    prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (tools.folder() / "kotlin" / tools.RECORD).is_file():
        message = "`make app-tools` was not run: no Kotlin"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    monkeypatch.syspath_prepend(str(SAMPLE))
    monkeypatch.syspath_prepend(str(ROOT / "tests/bench"))
    import decoding
    import word_errors
    from speech import log_mel, samples_of

    names = sorted(path.stem for path in prompts.glob("*.txt"))[:PROMPTS]
    mels = {name: log_mel(samples_of(prompts / f"{name}.wav")) for name in names}
    np.savez(tmp_path / "mels.npz", **mels)
    build = ["build", SAMPLE, "--target", "litert", "--dist", tmp_path / "dist"]
    subprocess.run([sys.executable, "-m", "edgepack", *build], check=True, capture_output=True)
    voice = tmp_path / "dist/voice"
    reference = word_errors.transcripts("torch", "-", "-", tmp_path / "mels.npz", tmp_path)
    record(word_errors.python_of("litert"), voice, tmp_path)

    replay(voice / "apps/android/app/src/main/assets/edgepack", prompts, tmp_path)
    answers = json.loads((tmp_path / "answers/answers.json").read_text())
    assert sorted(answers) == names
    assert {name: answers[name]["text"].strip() for name in names} == reference
    for name in names:
        tokens = [int(token) for token in answers[name]["tokens"].split()]
        assert decoding.text_of(tokens) == reference[name]
        heard = np.fromfile(tmp_path / f"answers/{name}.mel", "<f4").reshape(mels[name].shape)
        np.testing.assert_allclose(heard, mels[name], rtol=1e-5, atol=1e-5)


def record(python: Path, voice: Path, folder: Path) -> None:
    """The LiteRT decoder's logits, a file for each prompt."""
    (folder / "recorded").mkdir()
    script = ROOT / "tests/bench/transcribing.py"
    parts = [voice / "encoder-fp16.tflite", voice / "decoder-fp16.tflite"]
    command = [python, script, "litert", *parts, folder / "mels.npz", folder / "tokens.json"]
    subprocess.run([*command, folder / "recorded"], check=True, capture_output=True)


def replay(payload: Path, prompts: Path, folder: Path) -> None:
    """Compile the core with a program that feeds it recordings, and run it."""
    batch = folder / "kotlin"
    (batch / "core").mkdir(parents=True)
    for source in [*CORE.glob("*.kt"), Path(__file__).parent / "kotlin_runs/Voice.kt"]:
        shutil.copyfile(source, batch / "core" / source.name)
    sources = tuple(f"core/{path.name}" for path in sorted((batch / "core").glob("*.kt")))
    call = Call(output="voice", sources=sources, classpath=(kotlinc.json_of_android(batch),))
    assert kotlinc.run([call], batch) == {}
    (folder / "answers").mkdir()
    classpath = [batch / "out/voice", kotlinc.library(), tools.part("junit") / "json.jar"]
    done = tools.java(
        "-Xmx2g", "VoiceKt", payload, prompts, folder / "recorded", folder / "answers",
        classpath=classpath, cwd=batch,
    )  # fmt: skip
    assert done.code == 0, done.text
