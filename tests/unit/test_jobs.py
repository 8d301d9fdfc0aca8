"""Workers that return, fail, crash, hang, hoard and linger; and what is left of them afterwards."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from edgepack import jobs, registry
from edgepack.envs import Environment
from edgepack.errors import EdgepackError
from edgepack.jobs import Call, Done, Jobs, Limits
from edgepack.store import Store
from edgepack.wire import codec, runner, tensors
from edgepack.wire.types import Inspection, InspectJob, SamplesJob, SamplesResult

HERE = Path(__file__).parent
BAD = {"jobs_of_tests": str(HERE / "jobs_of_tests")}
THIS_PYTHON = Environment(name="this", python=Path(sys.executable), digest="0" * 64, managed=False)

Make = Callable[..., Jobs]


def call(entry: str, argument: object = "", stage: str = "convert", **changes: Any) -> Call:
    values: dict[str, Any] = {
        "stage": stage,
        "label": "tiny",
        "entry": f"jobs_of_tests:{entry}",
        "argument": InspectJob(artifact=str(argument)),
        "environment": THIS_PYTHON,
        "packages": BAD,
    }
    return Call(**(values | changes))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """make(seconds=…, memory_bytes=…) -> Jobs with a store of their own, closed after the test."""
    made: list[tuple[Jobs, Store]] = []

    def start(root: Path = tmp_path, said: list[Any] | None = None, **limits: Any) -> Jobs:
        store = Store(root / "store")
        told = said if said is not None else []
        given = Limits(**{"seconds": 20.0, **limits})
        made.append((Jobs(store, given, lambda *p: told.append(p), root / "logs"), store))
        return made[-1][0]

    yield start
    for started, store in made:
        started.close()
        store.close()


def refusal(runner: Jobs, *arguments: Any, **changes: Any) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        runner.run(call(*arguments, **changes))
    return caught.value


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody waits for stays as a zombie."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def soon(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def written(path: Path) -> bool:
    return path.exists() and path.read_text() != ""


# What a worker gives back


def test_a_value_comes_back_with_what_it_took(make: Make) -> None:
    done = make().run(call("echo", "Eingabe 日本"))
    value = msgspec.convert(done.value, Inspection)
    assert value.signature.inputs[0].name == "Eingabe 日本"
    assert value.signature.inputs[0].shape == (1, "n")
    assert value.operators == {"add": 2}
    assert 0 <= done.seconds < 5
    assert 1_000_000 < done.peak_rss_bytes < 100_000_000


def test_peak_memory_is_the_workers_own_and_not_what_the_host_had(make: Make) -> None:
    own = bytearray(300_000_000)
    own[::4096] = b"x" * len(own[::4096])
    runner = make()
    small = runner.run(call("memory", 1)).peak_rss_bytes
    large = runner.run(call("memory", 100_000_000)).peak_rss_bytes
    assert small < 100_000_000
    assert 100_000_000 < large < 200_000_000
    assert len(own) == 300_000_000


def test_a_coded_error_keeps_its_words_and_its_log(make: Make) -> None:
    error = refusal(make(), "coded")
    assert error.code == "E401"
    assert error.message == "no operator 'grün'"
    assert error.why == "line one\nline two"
    assert error.help == "Use another."
    assert "in coded" in Path(error.log).read_text()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("plain", "LookupError: no code for this"),
        ("unspeakable", "UnspeakableError (its text cannot be had)"),
        ("not_ours", "NotOursError: four oh four"),
        ("loose", "LooseError: not an Exception"),
        ("surrogates", "ValueError: bad ? name"),
        ("no_json", "TypeError: Object of type object is not JSON serializable"),
        ("not_a_number", "ValueError: Out of range float values are not JSON compliant"),
        ("missing_function", "has no attribute 'missing_function'"),
    ],
)
def test_any_other_exception_is_e902_with_its_traceback(make: Make, entry: str, words: str) -> None:
    error = refusal(make(), entry)
    assert error.code == "E902"
    assert words in error.message
    assert "Traceback" in Path(error.log).read_text()


def test_a_job_that_calls_exit_is_told_apart_from_a_result(make: Make) -> None:
    error = refusal(make(), "quits", 0)
    assert error.code == "E902"
    assert "called exit(0)" in error.message
    assert "sys.exit(int(job.artifact))" in Path(error.log).read_text()


def test_another_protocol_is_refused_by_the_worker(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    job = {
        "protocol": runner.PROTOCOL + 1, "entry": "jobs_of_tests:echo", "argument_type": "InspectJob",
        "argument": codec.encode(InspectJob(artifact="")), "edgepack": str(Path(jobs.__file__).parent),
        "packages": BAD, "result": str(result),
    }  # fmt: skip
    (tmp_path / "job.json").write_bytes(msgspec.json.encode(job))
    worker = subprocess.Popen(
        [sys.executable, "-s", "-P", runner.__file__, tmp_path / "job.json", ""],
        stdin=subprocess.PIPE, cwd=tmp_path,
    )  # fmt: skip
    with worker:
        assert worker.stdin is not None
        worker.stdin.write(b"g")
        worker.stdin.flush()
        assert worker.wait(20) == 0
    answer = msgspec.json.decode(result.read_bytes())
    assert answer["status"] == "error"
    assert "job protocol 2, this runner speaks 1" in answer["error"]["message"]


def test_chatter_on_stdout_and_stderr_does_not_touch_the_result(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[Any] = []
    assert make(said=said).run(call("chatters")).value == "still here"
    assert capfd.readouterr() == ("", "")
    assert said == []


def test_progress_arrives_in_order_and_whole(make: Make) -> None:
    said: list[Any] = []
    make(said=said).run(call("progresses"))
    assert said == [
        ("tiny", "loading", 0, 0),
        ("tiny", "läuft", 1, 3),
        ("tiny", "läuft", 2, 3),
        ("tiny", "läuft", 3, 3),
    ]


# Crashes and limits


@pytest.mark.parametrize(
    ("entry", "stage", "code", "name"),
    [
        ("segfault", "convert", "E403", "SIGSEGV"),
        ("null_pointer", "run", "E503", "SIGSEGV"),
        ("abort", "export", "E224", "SIGABRT"),
    ],
)
def test_a_crash_names_its_signal_and_keeps_the_log(
    make: Make, entry: str, stage: str, code: str, name: str
) -> None:
    error = refusal(make(), entry, stage=stage)
    assert error.code == code
    assert error.message == f"tiny crashed ({name})"
    assert Path(error.log).name == f"{stage}-tiny.log"
    if entry == "segfault":
        assert "last words" in Path(error.log).read_text()


def test_a_process_that_vanishes_names_its_exit_code(make: Make) -> None:
    error = refusal(make(), "vanishes", 7)
    assert error.code == "E403"
    assert "exit code 7" in error.message


def test_a_killed_worker_is_taken_for_a_lack_of_memory(make: Make) -> None:
    error = refusal(make(), "killed", stage="run")
    assert error.code == "E505"
    assert error.message == "tiny was killed"


@pytest.mark.parametrize(
    ("entry", "stage", "code"),
    [
        ("memory_error", "reference", "E222"),
        ("wrapped_memory_error", "convert", "E405"),
    ],
)
def test_a_memory_error_has_the_code_of_its_stage_however_it_is_wrapped(
    make: Make, entry: str, stage: str, code: str
) -> None:
    error = refusal(make(), entry, stage=stage)
    assert error.code == code
    assert error.message == "tiny ran out of memory"


def test_a_worker_that_outgrows_its_memory_limit_is_ended(make: Make) -> None:
    error = refusal(make(memory_bytes=150_000_000), "greedy")
    assert error.code == "E405"
    assert "outgrew its memory limit of 0.1 GB" in error.message
    reached = re.search(r"had reached (\d\.\d) GB", error.why)
    assert reached is not None


@pytest.mark.parametrize(
    ("entry", "stage", "code"), [("hang", "convert", "E404"), ("frozen", "samples", "E223")]
)
def test_a_worker_that_hangs_is_ended_at_the_time_limit(
    make: Make, tmp_path: Path, entry: str, stage: str, code: str
) -> None:
    pid = tmp_path / "pid"
    started = time.monotonic()
    error = refusal(make(seconds=0.5), entry, pid, stage=stage)
    assert error.code == code
    assert time.monotonic() - started < 3
    assert is_gone(int(pid.read_text()))


def test_a_worker_that_ignores_sigterm_is_killed(make: Make, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    started = time.monotonic()
    error = refusal(make(seconds=0.5), "stubborn", pid, stage="run")
    assert error.code == "E504"
    assert time.monotonic() - started < 0.5 + jobs.GRACE_SECONDS + 3
    assert is_gone(int(pid.read_text()))


def test_a_child_that_a_worker_leaves_behind_is_dead_afterwards(make: Make) -> None:
    pid = make().run(call("leaves_child")).value
    assert soon(lambda: is_gone(pid))


def test_a_child_of_a_worker_that_hangs_is_dead_afterwards(make: Make, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert refusal(make(seconds=0.7), "hangs_with_child", pids).code == "E404"
    assert all(soon(lambda pid=pid: is_gone(int(pid))) for pid in pids.read_text().split())


def test_the_next_job_works_after_every_kind_of_failure(make: Make) -> None:
    runner = make()
    for entry in ("segfault", "plain", "killed"):
        refusal(runner, entry)
    assert runner.run(call("echo")).value["format"] == "test"


# The end of the host, and cancelling

HOST = """
    import sys
    from pathlib import Path
    from edgepack.envs import Environment
    from edgepack.jobs import Call, Jobs, Limits
    from edgepack.store import Store
    from edgepack.wire.types import InspectJob

    root, entry, package = map(str, sys.argv[1:])
    environment = Environment(name="this", python=Path(sys.executable), digest="", managed=False)
    jobs = Jobs(Store(Path(root) / "store"), Limits(), lambda *_: None, Path(root) / "logs")
    jobs.preload(Environment(name="other", python=Path(sys.executable), digest="", managed=False), ("json",))
    jobs.run(Call(stage="convert", label="x", entry=f"jobs_of_tests:{entry}",
                  argument=InspectJob(artifact=f"{root}/pids"), environment=environment,
                  packages={"jobs_of_tests": package}))
"""


@pytest.mark.parametrize("entry", ["hangs_with_child", "frozen"])
def test_a_worker_ends_with_its_host_even_in_native_code(tmp_path: Path, entry: str) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOST), tmp_path, entry, BAD["jobs_of_tests"]]
    )
    try:
        assert soon(lambda: written(tmp_path / "pids"), 10)
        children = [p.pid for p in psutil.Process(host.pid).children(recursive=True)]
        named = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        assert set(named) <= set(children)
        assert len(children) == len(named) + 1  # the preloaded one
    finally:
        host.kill()
        host.wait()
    assert soon(lambda: all(is_gone(pid) for pid in children))
    Store(tmp_path / "store").close()
    assert list((tmp_path / "store" / "scratch").iterdir()) == []


def test_cancelling_from_another_thread_ends_the_job(make: Make, tmp_path: Path) -> None:
    runner, pid = make(), tmp_path / "pid"
    runner.preload(environment_named("other"), ("json",))
    (waiting,) = runner._waiting.values()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            runner.run(call("hang", pid))
        except KeyboardInterrupt as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert soon(lambda: written(pid))
    runner.cancel()
    thread.join(5)
    assert len(caught) == 1
    assert is_gone(int(pid.read_text()))
    assert waiting.process.returncode is not None
    with pytest.raises(KeyboardInterrupt):
        runner.run(call("hang", pid))
    runner.preload(environment_named("late"), ("json",))
    assert runner._waiting == {}


# What a worker sees


def test_a_worker_sees_an_allow_list_of_variables(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SECRET_X", "PYTHONPATH", "LD_PRELOAD_X", "HF_TOKEN", "https_proxy", "AWS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "64")
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    runner = make()
    ours = runner.run(call("surroundings")).value["environment"]
    users = runner.run(call("surroundings", user_code=True)).value["environment"]
    trusted = runner.run(call("surroundings", user_code=True, allow_pickle=True)).value[
        "environment"
    ]
    allowed = {*jobs._PASSED_ON, *jobs._FIXED, *jobs._OFFLINE, "TMPDIR", "LC_CTYPE"}
    allowed.add("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    assert {n for n in ours if not n.startswith(jobs._PASSED_ON_PREFIXES)} <= allowed
    assert ours["OPENBLAS_NUM_THREADS"] == "2"
    assert ours["PYTHONHASHSEED"] == "0"
    assert ours["HF_HUB_OFFLINE"] == "1"
    assert ours["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == users["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert {users["HF_TOKEN"], users["https_proxy"]} == {"x"}
    assert "HF_HUB_OFFLINE" not in users
    assert not {"SECRET_X", "PYTHONPATH", "LD_PRELOAD_X", "AWS_KEY"} & set(users)
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in trusted


def test_a_worker_works_in_a_scratch_folder_that_is_gone_after(make: Make) -> None:
    runner = make()
    one, other = (runner.run(call("surroundings")).value for _ in range(2))
    assert one["cwd"] != other["cwd"]
    assert Path(one["cwd"]).is_relative_to(runner._store.root / "scratch")
    assert one["environment"]["TMPDIR"] == one["cwd"]
    assert one["files"] == ["job.json", "log.txt"]
    assert not Path(one["cwd"]).exists()
    assert one["pid"] != other["pid"]
    assert one["hash"] == other["hash"]
    assert one["stdin"] == ""


def test_a_worker_imports_nothing_of_the_host_but_the_wire_and_the_errors(make: Make) -> None:
    seen = make().run(call("surroundings")).value
    assert {m for m in seen["modules"] if not m.startswith("edgepack.wire")} == {
        "edgepack", "edgepack.errors",
    }  # fmt: skip
    assert not seen["numpy"]
    assert str(HERE.parent.parent / "packager" / "edgepack" / "wire") not in seen["path"]


def test_files_of_the_user_named_like_ours_and_pythons_break_nothing(
    make: Make, tmp_path: Path
) -> None:
    project = tmp_path / "Projekt mit Leerzeichen"
    project.mkdir()
    for name in ("targets", "types", "json", "edgepack", "edgepack_targets", "wire", "errors"):
        (project / f"{name}.py").write_text(f"NAME = {name!r}\n")
    (project / "helper.py").write_text("import targets\nHELPED = targets.NAME\n")
    (project / "data.py").write_text(
        "import json, types\nimport numpy as np\nfrom helper import HELPED\n"
        "def cases():\n"
        "    assert HELPED == 'targets'\n"
        "    assert json.loads('[1]') == [1]\n"
        "    assert types.SimpleNamespace(a=1).a == 1\n"
        "    yield np.ones(3, np.float32)\n"
    )
    job = SamplesJob(
        location=str(project / "data.py"), function="cases", project=str(project), names=("x",),
        limit=5, out=str(tmp_path / "samples.npz"),
    )  # fmt: skip
    done = make().run(
        Call(
            stage="samples", label="data.py:cases", entry="edgepack_targets.sources.torch:samples",
            argument=job, environment=THIS_PYTHON, user_code=True,
            packages=registry.packages("edgepack_targets"),
        )
    )  # fmt: skip
    result = msgspec.convert(done.value, SamplesResult)
    assert result.cases == 1
    assert {Path(p).name for p, _ in result.dependencies} == {"data.py", "helper.py", "targets.py"}
    (case,) = tensors.load(tmp_path / "samples.npz")
    assert case[0].tolist() == [1, 1, 1]


# Preloading


def environment_named(name: str) -> Environment:
    return dataclasses.replace(THIS_PYTHON, name=name)


def test_a_preloaded_worker_takes_the_next_job_with_its_modules_imported(make: Make) -> None:
    runner = make()
    runner.preload(THIS_PYTHON, ("sqlite3",))
    runner.preload(THIS_PYTHON, ("sqlite3",))
    (waiting,) = runner._waiting.values()
    seen = runner.run(call("surroundings")).value
    assert seen["pid"] == waiting.process.pid
    assert seen["sqlite3"]
    assert runner._waiting == {}
    assert not runner.run(call("surroundings")).value["sqlite3"]


def test_user_code_never_runs_in_a_preloaded_worker(make: Make) -> None:
    runner = make()
    runner.preload(THIS_PYTHON, ("json",))
    (waiting,) = runner._waiting.values()
    assert runner.run(call("surroundings", user_code=True)).value["pid"] != waiting.process.pid
    assert runner._waiting != {}


def test_a_preloaded_worker_that_died_is_replaced(make: Make) -> None:
    runner = make()
    runner.preload(THIS_PYTHON, ("json",))
    (waiting,) = runner._waiting.values()
    waiting.process.kill()
    waiting.process.wait()
    assert runner.run(call("surroundings")).value["pid"] != waiting.process.pid
    assert not waiting.folder.exists()


def test_modules_that_cannot_be_imported_ahead_do_no_harm(make: Make) -> None:
    runner = make()
    runner.preload(THIS_PYTHON, ("no_such_module", "sqlite3"))
    assert runner.run(call("echo")).value["format"] == "test"


def test_a_preloaded_worker_that_nobody_took_is_ended(make: Make) -> None:
    runner = make()
    runner.preload(THIS_PYTHON, ("json",))
    (waiting,) = runner._waiting.values()
    runner.close()
    assert waiting.process.returncode is not None
    assert not waiting.folder.exists()


# Interpreters and disks


@pytest.mark.parametrize("kind", ["missing", "folder", "text"])
def test_an_interpreter_that_cannot_be_started_is_e302(
    make: Make, tmp_path: Path, kind: str
) -> None:
    python = tmp_path / "python"
    if kind == "folder":
        python.mkdir()
    elif kind == "text":
        python.write_text("no program")
        python.chmod(0o755)
    broken = Environment(name="broken", python=python, digest="", managed=False)
    error = refusal(make(), "echo", environment=broken)
    assert error.code == "E302"
    assert str(python) in error.message
    assert error.why


@pytest.mark.parametrize("entry", ["fills", "fills_and_hides_it", "fills_and_wraps_it"])
def test_a_full_disk_in_a_worker_is_e303_however_it_is_wrapped(
    make: Make, disk: Callable[[str], Path], entry: str
) -> None:
    small = disk("2m")
    error = refusal(make(root=small), entry, small)
    assert error.code == "E303"
    assert "no space left for the files of tiny" in error.message


def test_a_result_that_finds_no_space_is_e303(make: Make, disk: Callable[[str], Path]) -> None:
    small = disk("2m")
    assert refusal(make(root=small), "fills_and_returns", small).code == "E303"


def test_a_job_that_finds_no_space_leaves_no_worker(
    make: Make, disk: Callable[[str], Path]
) -> None:
    small = disk("1m")
    runner = make(root=small)
    before = set(psutil.Process().children())
    error = refusal(runner, "echo", "x" * 2_000_000)
    assert error.code == "E303"
    assert not set(psutil.Process().children()) - before
    assert runner.run(call("echo")).value["format"] == "test"


def test_paths_with_spaces_and_other_scripts_work(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "Über uns" / "日本 語"
    root.mkdir(parents=True)
    python = root / "python ümlaut"
    python.symlink_to(sys.executable)
    unusual = Environment(name="this", python=python, digest="", managed=False)
    done: Done = make(root=root).run(call("echo", environment=unusual))
    assert done.value["format"] == "test"
