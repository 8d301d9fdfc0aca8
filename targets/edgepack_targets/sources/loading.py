"""A source file or factory becomes a torch module in eval mode, without executing a pickle.

The host sets TORCH_FORCE_WEIGHTS_ONLY_LOAD for every worker unless the user allowed pickles; it also
binds `torch.load` calls inside `torch.export.load` and inside the user's own factory.
"""

from __future__ import annotations

import inspect
import pickle
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.errors import EdgepackError
from edgepack_targets.sources import user_code

if TYPE_CHECKING:
    import torch

    from edgepack.wire.types import SourceModel

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
"""Files that hold a state dict, in whole or under one of the keys below."""

READER_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError,
    TypeError, ValueError, struct.error, zipfile.BadZipFile,
)  # fmt: skip
"""What PyTorch's readers were seen to raise on damaged files; none promises a class of its own."""

_STATE_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "module", "weights")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A module ready to be called with positional tensors.

    names: of its forward's parameters, () when they cannot be known.
    program: the torch.export.ExportedProgram it came from, or None.
    """

    module: torch.nn.Module
    names: tuple[str, ...]
    program: Any = None


def load(source: SourceModel) -> Loaded:
    """The model of `source`, in eval mode, its weights checked for NaN and Inf.

    Raises E202 damaged file, E205 pickle needed, E206-E210 factory, E211 weights that do not fit,
    E212 non-finite weights.
    """
    import torch

    torch.manual_seed(0)
    if source.kind == "exported":
        loaded = _load_exported(Path(source.location))
    elif source.kind == "torchscript":
        loaded = _load_script(Path(source.location))
    else:
        loaded = _load_factory(source)
    _refuse_nonfinite(loaded.module)
    return loaded


def _load_exported(path: Path) -> Loaded:
    import torch

    try:
        program = torch.export.load(path)
    except pickle.UnpicklingError as error:
        raise _pickle_refused(path, error) from error
    except READER_ERRORS as error:
        raise _damaged(path, "torch.export program", error) from error
    return Loaded(
        module=program.module(), names=tuple(program.graph_signature.user_inputs), program=program
    )


def _load_script(path: Path) -> Loaded:
    import torch

    try:
        module = torch.jit.load(str(path), map_location="cpu")
    except READER_ERRORS as error:
        raise _damaged(path, "TorchScript file", error) from error
    module.eval()
    names = tuple(a.name for a in module.forward.schema.arguments[1:])
    return Loaded(module=module, names=names)


def _load_factory(source: SourceModel) -> Loaded:
    import torch
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    path = Path(source.location)
    factory = user_code.function_in(
        user_code.import_file(source.location, source.project), source.factory
    )
    files = [Path(f) for f in source.files]
    wanted = [
        p
        for p in inspect.signature(factory).parameters.values()
        if p.default is inspect.Parameter.empty
    ]

    def refuse_training(*_: object) -> None:
        raise _trains(source.factory)

    hook = register_optimizer_step_pre_hook(refuse_training)
    try:
        with torch.no_grad():
            module = user_code.call(
                lambda: factory(files) if wanted else factory(), f"{source.factory}()", path
            )
    except EdgepackError as error:
        if "does not require grad" in error.message:
            raise _trains(source.factory) from error
        if "UnpicklingError" in error.message:
            raise _pickle_refused(path, error) from error
        raise
    finally:
        hook.remove()
    if not isinstance(module, torch.nn.Module):
        raise EdgepackError(
            "E208",
            f"{source.factory}() returned {type(module).__name__}, not a torch.nn.Module",
            help="Return the model itself; load weights and call .eval() before.",
        )
    if not wanted:
        _load_weights(
            module,
            [f for f in files if f.suffix in WEIGHTS],
            allow_pickle=source.allow_pickle,
        )
    _refuse_training_mode(module, source.factory)
    names = tuple(
        p.name
        for p in inspect.signature(module.forward).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    )
    return Loaded(module=module.eval().requires_grad_(requires_grad=False), names=names)


def _load_weights(module: torch.nn.Module, files: list[Path], *, allow_pickle: bool) -> None:
    """Load state dicts into the module, strictly. Raises E202, E205, E211."""
    if not files:
        return
    state: dict[str, torch.Tensor] = {}
    for file in files:
        state.update(read_state(file, allow_pickle=allow_pickle))
    own = module.state_dict()
    missing = sorted(own.keys() - state.keys())
    unexpected = sorted(state.keys() - own.keys())
    shapes = [
        f"{k}: the file has {tuple(state[k].shape)}, the model {tuple(own[k].shape)}"
        for k in sorted(own.keys() & state.keys())
        if state[k].shape != own[k].shape
    ]
    if missing or unexpected or shapes:
        parts = [f"missing in the file: {_some(missing)}"] if missing else []
        parts += [f"unknown to the model: {_some(unexpected)}"] if unexpected else []
        parts += shapes[:4]
        raise EdgepackError(
            "E211",
            f"the weights in {', '.join(f.name for f in files)} do not fit the model",
            why="\n".join(parts),
            help="Use the checkpoint that belongs to this architecture; or let the factory take the "
            "list of files and load them itself.",
        )
    module.load_state_dict(state)


def read_state(path: Path, *, allow_pickle: bool = False) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name, no pickle executed unless allowed. Raises E202, E205."""
    import torch

    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except (*READER_ERRORS, SafetensorError) as error:
            raise _damaged(path, "safetensors file", error) from error
    try:
        data = torch.load(path, map_location="cpu", weights_only=not allow_pickle)
    except pickle.UnpicklingError as error:
        raise _pickle_refused(path, error) from error
    except READER_ERRORS as error:
        raise _damaged(path, "PyTorch checkpoint", error) from error
    if isinstance(data, torch.nn.Module):
        return dict(data.state_dict())
    for key in _STATE_KEYS:
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            data = data[key]
            break
    tensors = (
        {k: v for k, v in data.items() if isinstance(v, torch.Tensor)}
        if isinstance(data, dict)
        else {}
    )
    if not tensors:
        raise EdgepackError(
            "E211", f"{path.name} holds no named tensors", why=f"It holds {type(data).__name__}."
        )
    return tensors


def _refuse_training_mode(module: torch.nn.Module, factory: str) -> None:
    """E210 if a layer that behaves otherwise in training is in training mode."""
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.modules.dropout import _DropoutNd

    for name, layer in module.named_modules():
        if layer.training and isinstance(layer, (_BatchNorm, _DropoutNd)):
            raise EdgepackError(
                "E210",
                f"{factory}() returned a model in training mode",
                why=f"{name or 'the model'} is {type(layer).__name__} and would behave as in training.",
                help="Call model.eval() before returning it.",
            )


def _refuse_nonfinite(module: torch.nn.Module) -> None:
    """E212 for NaN or Inf in parameters, NaN in buffers (masks hold -inf on purpose)."""
    for kind, tensors in (
        ("parameter", module.named_parameters()),
        ("buffer", module.named_buffers()),
    ):
        for name, tensor in tensors:
            if not tensor.is_floating_point():
                continue
            bad = tensor.isnan() if kind == "buffer" else ~tensor.isfinite()
            count = int(bad.sum())
            if count:
                raise EdgepackError(
                    "E212",
                    f"{kind} {name!r} holds NaN or Inf",
                    why=f"{count} of {tensor.numel()} values are not finite.",
                    help="Training diverged, or the checkpoint is damaged; use an earlier one.",
                )


def _trains(factory: str) -> EdgepackError:
    return EdgepackError(
        "E209",
        f"{factory}() trains the model",
        why="A factory runs on every build, so it must only make the model and load its weights.",
        help="Train once, save the state dict, list it in [model] files.",
    )


def _pickle_refused(path: Path, error: Exception) -> EdgepackError:
    said = " ".join(str(error).split())
    unsupported = said[said.find("Unsupported") :][:200] if "Unsupported" in said else said[:200]
    return EdgepackError(
        "E205",
        f"{path.name} can only be read by executing the pickle in it",
        why=f"A pickle may run any program. PyTorch says: {unsupported}",
        help="Save a state dict (torch.save(model.state_dict(), ...)) or safetensors. If you trust the "
        "file, pass --allow-pickle or set [model] allow_pickle = true.",
    )


def _damaged(path: Path, what: str, error: Exception) -> EdgepackError:
    said = " ".join(str(error).split())[:300]
    return EdgepackError(
        "E202",
        f"{path.name} is not a readable {what}",
        why=f"{type(error).__name__}: {said}",
        help="The file may be truncated or of another kind; write or copy it again.",
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown  # noqa: PLR2004
