"""The targets there are, built-in and registered by other packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from edgepack import registry
from edgepack.errors import EdgepackError
from edgepack.wire.types import EnvironmentSpec, Target

TARGET = """
    from edgepack.wire.types import EnvironmentSpec, Precision, Target

    ENVIRONMENT = EnvironmentSpec(name="mine", python=">=3.11", requirements=(), lock="lock.txt", probe=())
    TARGET = Target(
        name="NAME", title="Mine", suffix=".mine", platforms=("android",), default_for=(),
        precisions=(Precision(name="fp32"),), default_precisions=("fp32",), convert_in=ENVIRONMENT,
        run_in=ENVIRONMENT, not_run="", dynamic=False,
    )
"""


def package(root: Path, name: str, code: str, entry: str) -> None:
    """An installed package that registers a target."""
    (root / name).mkdir(parents=True)
    (root / name / "__init__.py").write_text("")
    (root / name / "target.py").write_text(textwrap.dedent(code))
    info = root / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{name} = {entry}\n")


def listed(root: Path, ask: str = "list(registry.targets())") -> object:
    """What a new process with the packages of `root` on its path sees; an error as its words."""
    program = (
        "import json\nfrom edgepack import registry\nfrom edgepack.errors import EdgepackError\n"
        f"try:\n    print(json.dumps({ask}))\n"
        "except EdgepackError as error:\n    print(json.dumps([error.code, error.message, error.why]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    return json.loads(done.stdout)


def refusal(name: str) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        registry.find(name)
    return caught.value


def test_every_built_in_target_is_whole() -> None:
    known = registry.targets()
    assert list(known)[: len(registry.BUILT_IN)] == list(registry.BUILT_IN)
    for name in registry.BUILT_IN:
        registered = known[name]
        target = registered.target
        assert registered.module == f"edgepack_targets.{name}"
        assert (registered.folder / "__init__.py").is_file()
        assert set(target.default_for) <= set(target.platforms)
        names = [p.name for p in target.precisions]
        assert set(target.default_precisions) <= set(names)
        assert {p.base for p in target.precisions} <= {"", *names}
        assert len({o.name for o in target.options}) == len(target.options)
        for option in target.options:
            assert not option.choices or option.default in option.choices
            assert option.help


def test_a_platform_means_its_default_target_and_each_has_one() -> None:
    assert registry.find("android").target.name == "litert"
    assert registry.find("ios").target.name == "coreml"
    assert registry.find("executorch").target.name == "executorch"
    defaults = [p for r in registry.targets().values() for p in r.target.default_for]
    assert len(defaults) == len(set(defaults))


def test_an_unknown_target_is_e105_with_a_suggestion() -> None:
    error = refusal("andriod")
    assert error.code == "E105"
    assert "android, coreml, executorch, ios, litert" in error.why
    assert error.help == "Did you mean 'android'?"
    assert refusal("zzz").help == ""


def test_an_unknown_precision_is_e106_and_lists_what_there_is() -> None:
    registered = registry.find("litert")
    assert registered.precision("int8").needs_calibration
    with pytest.raises(EdgepackError) as caught:
        registered.precision("int88")
    assert caught.value.code == "E106"
    assert caught.value.help == "Did you mean 'int8'?"


def test_an_artifact_is_known_by_its_suffix() -> None:
    for registered in registry.targets().values():
        assert registry.for_suffix(registered.target.suffix) == registered
    assert registry.for_suffix(".zip") is None


def test_the_environment_of_the_sources_has_a_lock() -> None:
    spec, folder = registry.environment_of_sources()
    assert isinstance(spec, EnvironmentSpec)
    assert (folder / spec.lock).is_file()


def test_a_worker_mounts_the_package_of_the_target_and_ours() -> None:
    mounted = registry.packages("edgepack_targets.litert")
    assert list(mounted) == ["edgepack_targets"]
    assert (Path(mounted["edgepack_targets"]) / "litert" / "__init__.py").is_file()


def test_another_package_registers_a_target(tmp_path: Path) -> None:
    package(tmp_path, "theirs", TARGET.replace("NAME", "mine"), "theirs.target")
    assert listed(tmp_path) == [*registry.BUILT_IN, "mine"]
    assert listed(tmp_path, "registry.packages('theirs.target')") == {
        "edgepack_targets": registry.packages("edgepack_targets")["edgepack_targets"],
        "theirs": str(tmp_path / "theirs"),
    }


def test_an_entry_point_may_name_the_target_itself(tmp_path: Path) -> None:
    package(tmp_path, "theirs", TARGET.replace("NAME", "mine"), "theirs.target:TARGET")
    assert listed(tmp_path, "registry.find('mine').module") == "theirs.target"


@pytest.mark.parametrize(
    ("code", "entry", "words"),
    [
        ("X = 1", "theirs.target", "has no TARGET"),
        ("TARGET = 3", "theirs.target", "has no TARGET"),
        ("import no_such_framework", "theirs.target", "cannot be imported"),
        (TARGET, "theirs.missing", "cannot be imported"),
        (TARGET.replace("NAME", "litert"), "theirs.target", "has the name of another, 'litert'"),
    ],
)
def test_a_registered_module_that_is_no_target_is_e105(
    tmp_path: Path, code: str, entry: str, words: str
) -> None:
    package(tmp_path, "theirs", code, entry)
    found = listed(tmp_path)
    assert isinstance(found, list)
    assert found[0] == "E105"
    assert found[1] == f"{entry.partition(':')[0]} is registered as a target but {words}"


def test_the_digest_of_code_sees_every_file_and_where_it_lies(tmp_path: Path) -> None:
    def digest_of(name: str, **files: str) -> str:
        for path, text in files.items():
            file = tmp_path / name / f"{path.replace('__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return registry.code_digest(tmp_path / name)

    base = digest_of("base", a__x="1", b__x="2")
    assert digest_of("same", b__x="2", a__x="1") == base
    assert digest_of("swapped", a__x="2", b__x="1") != base
    assert digest_of("moved", a__x="1", c__x="2") != base
    assert digest_of("changed", a__x="1", b__x="3") != base
    (tmp_path / "base" / "notes.txt").write_text("x")
    shutil.copytree(tmp_path / "base", tmp_path / "copy")
    assert registry.code_digest(tmp_path / "copy") == base


def test_code_that_a_run_borrows_counts_as_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lent_before", "lent_after"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"SAID = {name!r}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    own = registry.targets()["litert"]

    def digest_with(*lent: str) -> str:
        return registry.running_digest(replace(own, target=replace(own.target, borrows=lent)))

    digests = [digest_with(), digest_with("lent_before"), digest_with("lent_after")]
    assert len(set(digests)) == 3
    emulator = "edgepack_targets.coreml.emulator"
    assert registry.targets()["executorch"].target.borrows == (emulator,)


def test_targets_are_plain_values() -> None:
    for registered in registry.targets().values():
        assert isinstance(registered.target, Target)
        hash(registered.target)
