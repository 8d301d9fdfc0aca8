"""The values that travel between the host and its workers, and into manifest and report.

Frozen, slotted, keyword-only dataclasses of plain data: hashable where they identify something,
printable, equal on every machine. Shapes hold integers for fixed axes and names for symbolic ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

PROTOCOL = 1
"""Version of the job and result files. A worker refuses any other."""

Scalar = str | int | float | bool

DTYPES = (
    "float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool",
)  # fmt: skip

Fidelity = Literal["device", "device-isa", "host", "simulated", "none"]
Evidence = Literal["real", "packaged", "synthetic", "random"]
Verdict = Literal["pass", "fail", "not-run"]
Form = Literal["fixed", "dynamic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """Affine quantization of a tensor: real = (stored - zero_point) * scale, per axis if one is given."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output: what an app must feed, or will get.

    shape: integers, or the name of a dimension where the axis is flexible.
    layout: axis letters as in "NCHW" when known, else None.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    layout: str | None = None
    quantization: Quantization | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One callable entry of a model: its inputs and outputs, in order."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """A named axis. `fixed` is its size where a target cannot vary it; minimum == maximum when it never varies."""

    name: str
    minimum: int
    maximum: int
    fixed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one artifact is made. Plain data, the same on every machine.

    options: (name, value) pairs sorted by name, the target's defaults filled in.
    calibration: sha256 of the calibration samples, None where the precision needs none.
    """

    target: str
    precision: str
    options: tuple[tuple[str, Scalar], ...] = ()
    calibration: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One cell of the matrix: a recipe and its id, such as "litert-int8".

    running: options of the target that say how the artifact is run; they change nothing in it.
    """

    id: str
    recipe: Recipe
    running: tuple[tuple[str, Scalar], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A converted model on disk.

    file: name within the folder it was made in; a file, or a folder such as x.mlpackage.
    sha256: of the file; for a folder, of its sorted relative paths and file digests (wire.digest).
    bytes: size of the file, or of all files in the folder.
    signature: as the artifact declares it after conversion.
    versions: of every package that had a hand in it, by distribution name.
    notes: sentences the user should read, such as "int64 input 'ids' became int32".
    """

    file: str
    sha256: str
    bytes: int
    format: str
    signature: Signature
    versions: dict[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """An input as the user declared it: dtype "" and shape None mean "find out from the model".

    range: lowest and highest value that synthetic samples may take.
    """

    name: str
    dtype: str = ""
    shape: tuple[int | str, ...] | None = None
    range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceModel:
    """Where a model comes from, as its loader needs it.

    kind: "factory" (file.py:function), "exported" (.pt2) or "torchscript" (.pt).
    location: absolute path of the file; for a factory the Python file.
    factory: name of the function, "" unless kind is "factory".
    project: folder that goes on the import path of a factory, "" for none.
    files: absolute paths of weights and other files the factory is given.
    """

    kind: Literal["factory", "exported", "torchscript"]
    location: str
    factory: str = ""
    project: str = ""
    files: tuple[str, ...] = ()
    allow_pickle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """Load the model, check it, write it as torch.export programs.

    dimensions: every symbolic axis that occurs in `inputs`.
    forms: "fixed" has no symbolic axis; "dynamic" keeps those whose range is more than one size.
    examples: .npz of one or more cases to derive missing dtypes and shapes from, or "".
    out: folder to write `fixed.pt2` and `dynamic.pt2` into.
    """

    source: SourceModel
    inputs: tuple[InputSpec, ...]
    outputs: tuple[str, ...]
    dimensions: tuple[Dimension, ...]
    forms: tuple[Form, ...]
    examples: str
    out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One exported form of the model.

    file: name in the job's out folder.
    signature: names, dtypes and shapes that every artifact made from it must show.
    """

    form: Form
    file: str
    signature: Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What an export made and learned.

    dimensions: of every symbolic axis in the dynamic form, declared or found in the file.
    ranges: for integer inputs that index an embedding table, (input name, lowest, highest index).
    dependencies: (path, sha256) of each of the user's own files that the factory imported.
    parameters: number of weights. operators: how often each occurs in the exported graph.
    """

    exported: tuple[Exported, ...]
    versions: dict[str, str]
    dimensions: tuple[Dimension, ...] = ()
    ranges: tuple[tuple[str, int, int], ...] = ()
    dependencies: tuple[tuple[str, str], ...] = ()
    parameters: int = 0
    operators: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplesJob:
    """Run the user's sample function: file.py:function, a generator of cases.

    limit: take at most so many cases. out: path of the .npz to write.
    """

    location: str
    function: str
    project: str
    names: tuple[str, ...]
    limit: int
    out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplesResult:
    """cases: number written. dependencies: as in ExportResult."""

    cases: int
    names: tuple[str, ...]
    dependencies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceJob:
    """Run the source model itself on samples; writes outputs to the .npz `out`."""

    source: SourceModel
    signature: Signature
    samples: str
    out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertJob:
    """Make one artifact.

    model: path of the .pt2 (torch.export); it takes positional tensors and returns a tuple of tensors,
    both in the order of `signature`.
    signature: the names, dtypes and shapes the artifact must show, as far as its format can.
    dimensions: ranges of the symbolic axes in `signature`; empty for the fixed form.
    base: path of the artifact of the precision this one derives from, "" when made from the model.
    calibration: .npz of calibration cases, "" when the precision needs none.
    stem: file name of the artifact without suffix. out: folder to write it into.
    """

    model: str
    signature: Signature
    dimensions: tuple[Dimension, ...]
    recipe: Recipe
    base: str
    calibration: str
    stem: str
    out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """Run an artifact on every case of `samples`, write the outputs to the .npz `out`.

    signature: the artifact's, which fixes the order of inputs and outputs.
    options: the target's own, by name. trace: folder to write every operation's result of one case into,
    "" for none.
    """

    artifact: str
    signature: Signature
    samples: str
    out: str
    options: tuple[tuple[str, str | int | float | bool], ...] = ()
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far an output moves when the artifact is run another way that its format allows.

    way: such as "fp32", single precision where the artifact declares half. max_abs: the largest difference.
    sqnr_db: of the worst case, 999 where nothing differs. cases: how many were run that way.
    """

    way: str
    output: str
    max_abs: float
    sqnr_db: float
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What ran: runtime such as "LiteRT 2.3.0 XNNPACK", its fidelity, and the median seconds of a case.

    cases: number of cases run. notes: sentences such as how much of the graph was delegated.
    readings: the uncertainty of the outputs, where the format leaves open how it is computed.
    """

    runtime: str
    fidelity: Fidelity
    cases: int
    seconds_per_case: float
    notes: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectJob:
    """Read an artifact that edgepack may not have made."""

    artifact: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What an artifact says of itself. precision: the closest of the target's precision names.

    program: its operations as text, a line each, where the format has a program that can be read.
    """

    format: str
    precision: str
    signature: Signature
    operators: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """A locked Python environment.

    name: what the user calls it, e.g. "litert".
    python: versions the lock was made for, as a version specifier.
    requirements: what was asked for; the lock pins what that came to.
    lock: file name of the lock beside the target's module.
    probe: modules whose import proves that the environment works.
    accepts: what an environment of the user's must have instead; () for the requirements themselves.
    """

    name: str
    python: str
    requirements: tuple[str, ...]
    lock: str
    probe: tuple[str, ...]
    accepts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """A precision a target offers.

    needs_calibration: it cannot be made without real samples.
    base: name of the precision whose artifact it is derived from, "" when made from the model.
    """

    name: str
    needs_calibration: bool = False
    base: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A setting of a target, `[targets.NAME]` in edgepack.toml.

    choices: empty for any value of the default's type. stage: what it is an option of.
    """

    name: str
    default: Scalar
    help: str
    choices: tuple[Scalar, ...] = ()
    stage: Literal["convert", "run"] = "convert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """All the host needs to know of a target, as data.

    name: as in `--target litert`. title: for people. suffix: of its artifacts, e.g. ".tflite".
    platforms: where its artifacts run. default_for: platforms that mean this target.
    default_precisions: made when the user names none.
    convert_in: environment of `convert`; run_in: of `run` and `inspect`.
    not_run: why nothing here can run its artifacts; "" when `run` can.
    traces: whether `run` can write down the result of every operation.
    reads: suffixes besides `suffix` that `run` and `inspect` can read.
    borrows: packages outside the target's own folder whose code `run` uses: a change there repeats a run.
    dynamic: whether it can keep symbolic axes.
    preload: modules `convert` needs, imported ahead of its job while another job still runs.
    doctor: precision of the tiny conversion that proves the target.
    """

    name: str
    title: str
    suffix: str
    platforms: tuple[str, ...]
    default_for: tuple[str, ...]
    precisions: tuple[Precision, ...]
    default_precisions: tuple[str, ...]
    convert_in: EnvironmentSpec
    run_in: EnvironmentSpec
    not_run: str
    dynamic: bool
    traces: bool = False
    reads: tuple[str, ...] = ()
    borrows: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
