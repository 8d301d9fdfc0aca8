"""The command line as a user meets it: real processes, what they print where, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from edgepack import bundle, config, error_codes, plan, registry
from edgepack.bundle import Report, StageRecord
from edgepack.cli import COMMANDS, edgepack
from edgepack.config import ParityLimits
from edgepack.errors import BUG, INTERRUPTED
from edgepack.plan import BuildPlan
from edgepack.store import Meta, Store
from edgepack.verdict import not_run
from edgepack.wire import digest

FRAMEWORKS = {
    "torch", "tensorflow", "coremltools", "executorch", "litert_torch", "ai_edge_litert",
    "ai_edge_quantizer", "onnx", "onnxruntime", "openvino", "jax",
}  # fmt: skip

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of a user whose cache is empty."""
    return {**os.environ, "EDGEPACK_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """run(*arguments, **variables) -> a finished `edgepack` process in the test's folder."""

    def start(*arguments: object, **variables: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "edgepack", *map(str, arguments)],
            cwd=tmp_path, env={**environment, **variables}, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=60, check=False,
        )  # fmt: skip

    return start


# Help, and what it costs


def test_help_lists_every_command(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for name, what in COMMANDS.items():
        assert name in done.stdout
        assert what in done.stdout
    assert "Example:" in done.stdout


@pytest.mark.parametrize(
    "command", [*([name] for name in COMMANDS), ["cache", "ls"], ["cache", "why"], ["cache", "prune"]],
    ids=" ".join,
)  # fmt: skip
def test_every_command_shows_an_example_and_answers_in_json(command: list[str]) -> None:
    done = CliRunner().invoke(edgepack, [*command, "--help"], prog_name="edgepack")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Usage: edgepack {' '.join(command)}")
    assert "Example" in done.stdout
    assert f"  edgepack {' '.join(command)}" in done.stdout
    assert command == ["cache"] or "--json" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["targets"], ["targets", "--json"], ["explain", "E108"]], ids=" ".join
)
def test_no_framework_and_no_numpy_is_imported(
    tmp_path: Path, environment: dict[str, str], arguments: list[str]
) -> None:
    program = (
        "import json, sys\n"
        "from edgepack.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "sys.stderr.write(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = set(json.loads(done.stderr))
    assert "edgepack" in imported
    assert not imported & {*FRAMEWORKS, "numpy", "PIL", "soundfile", "uv"}
    if arguments == ["--help"]:
        assert not imported & {"msgspec", "rich", "psutil", "filelock", "edgepack_targets"}


def test_the_version_is_shown(run: Run) -> None:
    assert run("--version").stdout.startswith("edgepack, version ")


def test_targets_are_listed(run: Run) -> None:
    done = run("targets", "--json")
    assert done.returncode == 0
    assert done.stderr == ""
    shown = {t["name"]: t for t in json.loads(done.stdout)["targets"]}
    assert set(shown) == set(registry.targets())
    assert [p["name"] for p in shown["litert"]["precisions"]][:1] == ["fp32"]
    text = run("targets").stdout
    for name in shown:
        assert name in text


# Mistakes


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["biuld"], "No such command 'biuld'. Did you mean 'build'?"),
        (["zzz"], "No such command 'zzz'."),
        (["explain", "--jsn"], "--jsn"),
        (["init"], "MODEL"),
        (["build", "--jobs", "0"], "--jobs"),
        (["cache", "lss"], "lss"),
    ],
)
def test_a_mistyped_command_line_ends_with_2_and_a_hint(
    run: Run, typed: list[str], words: str
) -> None:
    done = run(*typed)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("typed", "code", "exit_code"),
    [
        (["build"], "E107", 2),
        (["build", "model.pt2", "--target", "andriod"], "E105", 2),
        (["build", "model.pt2", "--precision", "int9"], "E106", 2),
        (["build", "model.pt2", "--input", "x"], "E103", 2),
        (["build", "model.pt2", "--target", "android", "--precision", "int8"], "E108", 2),
        (["build", "model.pt2", "--validation", "random"], "E109", 2),
        (["build", "model.xyz"], "E204", 3),
        (["build", "missing.pt2"], "E201", 3),
        (["validate", "missing.tflite", "--against", "model.pt2"], "E201", 3),
        (["explain", "E999"], "E114", 2),
        (["cache", "why", "litert-fp32", "model.pt2"], "E115", 2),
        (["cache", "prune", "--older-than", "soon"], "E103", 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_an_error_is_told_on_stderr_and_as_json_on_stdout(
    run: Run, typed: list[str], code: str, exit_code: int
) -> None:
    done = run(*typed, "--json")
    assert done.returncode == exit_code, done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["code"] == code
    assert set(error) == {"code", "message", "why", "help", "log"}
    assert f"error[{code}]: {error['message']}" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_json_an_error_leaves_stdout_empty(run: Run) -> None:
    done = run("build")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "error[E107]" in done.stderr
    assert "= help:" in done.stderr


def test_a_mistake_in_the_file_is_shown_with_a_caret(run: Run, tmp_path: Path) -> None:
    (tmp_path / "edgepack.toml").write_text('schema = 1\n[model]\nsorce = "model.pt2"\n')
    done = run("build")
    assert done.returncode == 2
    assert "--> edgepack.toml:3:1\n" in done.stderr
    assert '3 | sorce = "model.pt2"\n' in done.stderr
    assert "    | ^^^^^ edgepack does not know this key" in done.stderr
    assert "= help: Did you mean 'source'?" in done.stderr


def test_a_file_that_is_there_is_not_replaced_by_init(run: Run, tmp_path: Path) -> None:
    (tmp_path / "edgepack.toml").write_text("mine")
    done = run("init", "model.pt2", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "E116"
    assert (tmp_path / "edgepack.toml").read_text() == "mine"


def test_one_of_several_models_is_named(run: Run, tmp_path: Path) -> None:
    model = '[[model]]\nname = "{}"\nsource = "gone.pt2"\n'
    text = "schema = 1\n" + model.format("one") + model.format("two")
    (tmp_path / "edgepack.toml").write_text(text)
    for more, code, words in (
        ((), "E103", "They are one, two."),
        (("--model", "three"), "E103", "They are one, two."),
        (("--model", "two"), "E201", ""),
    ):
        error = json.loads(run("inspect", ".", "--json", *more).stdout)["error"]
        assert error["code"] == code
        assert words in error["why"]
    done = run("init", ".", "--force", "--json")
    assert json.loads(done.stdout)["error"]["code"] == "E204"
    assert (tmp_path / "edgepack.toml").read_text() == text


@pytest.mark.parametrize("words", [":smile: [bold]x[/bold] \\", "größe 日本 [1]"])
def test_what_the_user_wrote_is_printed_as_it_is(run: Run, words: str) -> None:
    done = run("build", f"{words}.pt2")
    assert done.returncode == 3
    assert f"{words}.pt2 does not exist" in done.stderr


def test_a_cache_that_cannot_be_written_is_e304_and_ends_with_4(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = run("cache", "ls", "--json", EDGEPACK_CACHE=str(tmp_path / "file" / "below"))
    assert done.returncode == 4
    assert json.loads(done.stdout)["error"]["code"] == "E304"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_with_130_and_loses_nothing(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    (tmp_path / "net.py").write_text("x = 1\n")
    slow = tmp_path / "python"
    slow.write_text(f"#!/bin/sh\ntouch '{tmp_path}/started'\nexec sleep 60\n")
    slow.chmod(0o755)
    (tmp_path / "edgepack.toml").write_text(
        'schema = 1\n[model]\nsource = "net.py:make"\npython = "python"\n[targets.litert]\n'
    )
    (tmp_path / "dist" / "net").mkdir(parents=True)
    (tmp_path / "dist" / "net" / "manifest.json").write_text("last good")
    started = subprocess.Popen(
        [sys.executable, "-m", "edgepack", "build"], cwd=tmp_path, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while not (tmp_path / "started").exists():
        assert started.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    started.send_signal(number)
    out, err = started.communicate(timeout=10)
    assert started.returncode == INTERRUPTED
    assert out == ""
    assert err.strip() == "interrupted; the last good output is as it was"
    assert (tmp_path / "dist" / "net" / "manifest.json").read_text() == "last good"


def test_a_bug_of_ours_ends_with_70_and_says_so(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    program = (
        "import sys\nfrom edgepack import error_codes\nfrom edgepack.cli import main\n"
        "del error_codes.load\nsys.argv = ['edgepack', 'explain']\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == BUG
    assert "Traceback" in done.stderr
    assert "error[E901]" in done.stderr


# Answers


def test_explain_tells_what_why_and_what_to_do(run: Run) -> None:
    documented = error_codes.load()
    done = run("explain", "e203")
    assert done.returncode == 0
    assert done.stdout.startswith(f"E203: {documented['E203'].title} (exit code 3)\n")
    for text in (documented["E203"].what, documented["E203"].why, documented["E203"].instead):
        assert text in done.stdout
    answer = json.loads(run("explain", "203", "--json").stdout)
    assert (answer["code"], answer["exit_code"]) == ("E203", 3)
    assert answer["entry"] == msgspec.to_builtins(documented["E203"])
    listed = run("explain").stdout.splitlines()
    assert listed == [f"{code}  {entry.title}" for code, entry in documented.items()]
    assert set(json.loads(run("explain", "--json").stdout)) == set(documented)


def test_a_dry_run_prints_the_plan_and_makes_nothing(run: Run, tmp_path: Path) -> None:
    typed = ("build", "model.pt2", "--target", "android", "--allow", "not-run", "--dry-run")
    done = run(*typed, "--json")
    assert done.returncode == 0
    printed = msgspec.json.decode(done.stdout, type=BuildPlan)
    assert [v.id for v in printed.models[0].variants] == ["litert-fp32"]
    assert printed.models[0].model.location == str(tmp_path / "model.pt2")
    assert printed.allow == ("not-run",)
    text = run(*typed).stdout
    assert "variant      litert-fp32" in text
    assert str(tmp_path / "dist" / "model") in text
    assert list(tmp_path.iterdir()) == []


# The cache


def stored(cache: Path, *keys: str) -> None:
    store = Store(cache / "store")
    for number, key in enumerate(keys, 1):
        folder = store.scratch("test")
        (folder / "file").write_bytes(b"x" * 1000 * number)
        store.put(key, folder, Meta(stage="convert", parts={"seed": 0}, value=None, files={}))
    store.close()


def entries(run: Run) -> list[tuple[str, str, int, int]]:
    """What `cache ls --json` lists: key, stage, bytes and time of each."""
    listed = json.loads(run("cache", "ls", "--json").stdout)["entries"]
    return [tuple(e.values()) if isinstance(e, dict) else tuple(e) for e in listed]


def test_cache_ls_and_prune_on_a_store_made_by_hand(run: Run, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    old, new = digest.of_value("old"), digest.of_value("new")
    stored(cache, old, new)
    os.utime(cache / "store" / "entries" / old, (0, time.time() - 7200))
    made = cache / "environments" / f"torch-{'0' * 64}"
    for folder in (made, made.with_name(f"{made.name}.1234abcd.part")):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").touch()
    made.with_name(f"{made.name}.lock").touch()

    listed = entries(run)
    assert [e[:3] for e in sorted(listed)] == sorted(
        [(old, "convert", 1000), (new, "convert", 2000)]
    )
    assert all(abs(time.time() - e[3]) < 7300 for e in listed)
    assert [str(made)] == list(json.loads(run("cache", "ls", "--json").stdout)["environments"])
    text = run("cache", "ls").stdout
    assert old[:16] in text
    assert "2.0 h" in text
    assert "2 results, 3.0 kB" in text

    pruned = run("cache", "prune", "--older-than", "1h", "--json")
    assert json.loads(pruned.stdout) == {"removed": 1, "bytes": 1000}
    assert [e[0] for e in entries(run)] == [new]
    assert "removed 1 results, 2.0 kB" in run("cache", "prune", "--older-than", "0s").stdout
    assert made.exists()
    run("cache", "prune", "--environments")
    assert not made.exists()


def test_an_empty_cache_is_listed(run: Run) -> None:
    done = run("cache", "ls", "--json")
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert set(answer) == {"entries", "environments"}
    assert not any(answer.values())


def reported(folder: Path) -> None:
    """A report of a build in the folder, as the pipeline writes it."""
    (folder / "edgepack.toml").write_text(
        'schema = 1\n[model]\nname = "flowers"\nsource = "a.py:make"\n[targets.litert]\n'
    )
    made = plan.resolve(config.load(folder / "edgepack.toml"), folder / "dist")
    records = [
        StageRecord(
            stage=stage, variant=label, seconds=2.5, peak_rss_bytes=1, cached=stage == "export",
            key=digest.of_value(label), parts={"model": label, "seed": 0}, changed=changed,
        )
        for stage, label, changed in (
            ("export", "flowers", []), ("convert", "litert-fp32", ["model"]), ("run", "other", []),
        )
    ]  # fmt: skip
    parity = [not_run("litert-fp32", "test", ParityLimits(), "synthetic")]
    report = Report(schema=bundle.SCHEMA, plan=made, stages=records, parity=parity)
    (folder / "dist" / "flowers").mkdir(parents=True)
    (folder / "dist" / "flowers" / bundle.REPORT).write_bytes(bundle.encode(report))


def test_cache_why_shows_what_a_variant_depends_on_and_what_changed(
    run: Run, tmp_path: Path
) -> None:
    reported(tmp_path)
    done = run("cache", "why", "litert-fp32", "--json")
    assert done.returncode == 0, done.stderr
    stages = json.loads(done.stdout)["stages"]
    assert [(s["stage"], s["cached"], s["changed"]) for s in stages] == [
        ("export", True, []), ("convert", False, ["model"]),
    ]  # fmt: skip
    text = run("cache", "why", "litert-fp32").stdout
    assert f"export flowers: cached, key {digest.of_value('flowers')[:16]}" in text
    assert "convert litert-fp32: made in 2.5 s" in text
    assert "  changed: model" in text
    assert "  model = litert-fp32" in text
    error = run("cache", "why", "litert-int8")
    assert error.returncode == 2
    assert "the last build has no variant 'litert-int8'" in error.stderr
