"""What every target must do, whoever wrote it. A new target inherits all of this."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgepack import registry
from edgepack.errors import EdgepackError
from edgepack.wire import digest
from edgepack.wire.types import (
    Artifact,
    ConvertJob,
    ExportJob,
    ExportResult,
    InputSpec,
    InspectJob,
    Recipe,
    SamplesJob,
    SourceModel,
)

TARGETS = sorted(registry.targets())
PRECISIONS = [
    pytest.param(name, p.name, id=f"{name}-{p.name}")
    for name in TARGETS
    for p in registry.targets()[name].target.precisions
]
MODELS = Path(__file__).with_name("tiny_models.py")
SOURCES = "edgepack_targets.sources.torch"

INPUTS = {
    "make_convolution": (InputSpec(name="image", dtype="float32", shape=(1, 3, 8, 8)),),
    "make_many_inputs": (
        InputSpec(name="tokens", dtype="int32", shape=(1, 4)),
        InputSpec(name="mask", dtype="float32", shape=(1, 4)),
        InputSpec(name="bias", dtype="float32", shape=(1, 4, 6)),
    ),
}


class Workbench:
    """Exports and converts the tiny models; what was made once serves every test."""

    def __init__(self, worker: Callable[..., Any], folder: Path) -> None:
        self.worker = worker
        self.folder = folder
        self._exported: dict[str, ExportResult] = {}
        self._converted: dict[tuple[str, ...], tuple[Artifact, Path]] = {}

    def export(self, factory: str) -> ExportResult:
        """The exported factory."""
        if factory not in self._exported:
            out = self.folder / factory
            out.mkdir()
            source = SourceModel(kind="factory", location=str(MODELS), factory=factory)
            job = ExportJob(
                source=source, inputs=INPUTS[factory], outputs=(), dimensions=(), forms=("fixed",),
                examples="", out=str(out),
            )  # fmt: skip
            self._exported[factory] = self.worker(f"{SOURCES}:export", job, "torch")
        return self._exported[factory]

    def images(self) -> Path:
        """Calibration samples."""
        path = self.folder / "images.npz"
        if not path.exists():
            job = SamplesJob(
                location=str(MODELS), function="images", project="", names=("image",), limit=8,
                out=str(path),
            )  # fmt: skip
            self.worker(f"{SOURCES}:samples", job, "torch")
        return path

    def convert(
        self, name: str, precision: str, factory: str, turn: str = "one", model: Path | None = None
    ) -> tuple[Artifact, Path]:
        """The artifact of a precision and where it lies. turn: conversions of two turns share nothing."""
        key = (name, precision, factory, turn)
        if key in self._converted and model is None:
            return self._converted[key]
        registered = registry.find(name)
        exported = self.export(factory).exported[0]
        folder = self.folder / "-".join(key)
        folder.mkdir(exist_ok=True)
        wanted = registered.precision(precision)
        base = self.convert(name, wanted.base, factory, turn)[1] if wanted.base else ""
        options = tuple(sorted((o.name, o.default) for o in registered.target.options))
        job = ConvertJob(
            model=str(model or self.folder / factory / exported.file),
            signature=exported.signature,
            dimensions=(),
            recipe=Recipe(target=name, precision=precision, options=options, calibration=None),
            base=str(base),
            calibration=str(self.images()) if wanted.needs_calibration else "",
            stem="tiny",
            out=str(folder),
        )
        artifact = self.worker(
            f"{registered.module}:convert", job, registered.target.convert_in.name
        )
        self._converted[key] = artifact, folder / artifact.file
        return self._converted[key]


@pytest.fixture(scope="session")
def bench(
    session_worker: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Workbench:
    return Workbench(session_worker, tmp_path_factory.mktemp("bench"))


@pytest.mark.parametrize("name", TARGETS)
def test_importing_a_target_imports_only_the_standard_library(name: str) -> None:
    module = registry.find(name).module
    program = (
        f"import sys, {module}\n"
        "own = {m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(m for m in own if not m.startswith('_')))"
    )
    roots = [str(Path(p)) for p in ("packager", "targets")]
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {roots!r}\n{program}"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.strip() == "['edgepack', 'edgepack_targets']"


@pytest.mark.parametrize("name", TARGETS)
def test_the_declaration_is_sound(name: str) -> None:
    target = registry.find(name).target
    names = [p.name for p in target.precisions]
    assert len(set(names)) == len(names)
    assert set(target.default_precisions) <= set(names)
    assert set(target.default_for) <= set(target.platforms)
    assert all(not p.base or p.base in names for p in target.precisions)
    assert target.suffix.startswith(".")
    assert msgspec.convert(msgspec.to_builtins(target), type(target)) == target
    for spec in (target.convert_in, target.run_in):
        lock = (registry.find(name).folder / spec.lock).read_text(encoding="utf-8")
        assert all(line.partition("==")[1] for line in lock.splitlines() if line[:1].isalpha())


@pytest.mark.parametrize(("name", "precision"), PRECISIONS)
def test_every_precision_converts_and_the_artifact_shows_its_signature(
    bench: Workbench, name: str, precision: str
) -> None:
    factory = "make_convolution"
    wanted = bench.export(factory).exported[0].signature
    artifact, path = bench.convert(name, precision, factory)
    registered = registry.find(name)
    assert [t.name for t in artifact.signature.inputs] == [t.name for t in wanted.inputs]
    assert [t.name for t in artifact.signature.outputs] == [t.name for t in wanted.outputs]
    assert [t.dtype for t in artifact.signature.inputs] == ["float32"]
    assert path.name == f"tiny{registered.target.suffix}"
    assert artifact.sha256 == digest.of_tree(path)
    assert artifact.bytes == digest.size_of_tree(path)
    assert artifact.versions
    found = bench.worker(
        f"{registered.module}:inspect",
        InspectJob(artifact=str(path)),
        registered.target.run_in.name,
    )
    assert found.precision == precision
    assert [t.shape for t in found.signature.inputs] == [t.shape for t in wanted.inputs]
    assert [t.shape for t in found.signature.outputs] == [t.shape for t in wanted.outputs]


@pytest.mark.parametrize("name", TARGETS)
def test_names_order_and_dtypes_survive_where_there_are_many(bench: Workbench, name: str) -> None:
    factory = "make_many_inputs"
    wanted = bench.export(factory).exported[0].signature
    assert [t.name for t in wanted.outputs] == ["zeta", "alpha", "best"]
    artifact, _ = bench.convert(name, "fp32", factory)
    assert [(t.name, t.dtype) for t in artifact.signature.inputs] == [
        ("tokens", "int32"), ("mask", "float32"), ("bias", "float32")
    ]  # fmt: skip
    assert [t.name for t in artifact.signature.outputs] == ["zeta", "alpha", "best"]
    text = msgspec.json.encode(artifact)
    assert msgspec.json.decode(text, type=Artifact) == artifact


@pytest.mark.parametrize(("name", "precision"), PRECISIONS)
def test_two_conversions_give_one_digest(bench: Workbench, name: str, precision: str) -> None:
    one, _ = bench.convert(name, precision, "make_convolution", "one")
    other, _ = bench.convert(name, precision, "make_convolution", "two")
    assert one.sha256 == other.sha256


@pytest.mark.parametrize("name", TARGETS)
def test_a_bad_job_gives_a_coded_error(bench: Workbench, name: str, tmp_path: Path) -> None:
    exported = bench.export("make_convolution").exported[0]
    whole = bench.folder / "make_convolution" / exported.file
    broken = tmp_path / "broken.pt2"
    broken.write_bytes(whole.read_bytes()[:1000])
    with pytest.raises(EdgepackError) as caught:
        bench.convert(name, "fp32", "make_convolution", "broken", broken)
    assert caught.value.code in ("E202", "E402")


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04" + b"\0" * 40])
def test_a_bad_artifact_gives_a_coded_error(
    bench: Workbench, name: str, content: bytes, tmp_path: Path
) -> None:
    registered = registry.find(name)
    path = tmp_path / f"bad{registered.target.suffix}"
    path.write_bytes(content)
    with pytest.raises(EdgepackError) as caught:
        bench.worker(
            f"{registered.module}:inspect",
            InspectJob(artifact=str(path)),
            registered.target.run_in.name,
        )
    assert caught.value.code.startswith("E2")
