"""A real network's weights compressed in many ways by coremltools. Arguments: a laid out project, a folder.

Converts the project's model at fp32 for iOS 18 by edgepack's target, compresses the package, and runs each
variant on the project's own recordings. Prints as JSON {"float": greatest difference from torch, "bytes": of
weights, "variants": {name: {"operators": its constexpr operators, "relative": greatest difference from the
package whose weights coremltools decompressed, "changed": that from the package that never was compressed,
"bytes": of weights}}}.
Differences are relative to the greatest value of an output.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
import torch

from edgepack.wire.types import ConvertJob, Recipe, Signature, TensorSpec
from edgepack_targets import coreml
from edgepack_targets.coreml.emulator import model as emulated

Array = np.ndarray[Any, Any]
Outputs = list[Mapping[str, Array]]
Way = Callable[[Any], Any]
CASES = 3


def configured(config: Any) -> Any:
    return cto.OptimizationConfig(global_config=config)


def palettized(**how: Any) -> Callable[..., Any]:
    """Palettes of values a step apart: k-means takes too long for a test."""
    config = cto.OpPalettizerConfig(mode="uniform", weight_threshold=512, **how)
    return lambda model, **more: cto.palettize_weights(model, configured(config), **more)


def quantized(**how: Any) -> Callable[..., Any]:
    config = cto.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=512, **how)
    return lambda model, **more: cto.linear_quantize_weights(model, configured(config), **more)


def pruned(share: float) -> Way:
    config = cto.OpMagnitudePrunerConfig(target_sparsity=share, weight_threshold=512)
    return lambda model: cto.prune_weights(model, configured(config))


def jointly(first: Way, second: Callable[..., Any]) -> Way:
    return lambda model: second(first(model), joint_compression=True)


WAYS: dict[str, Way] = {
    "palettized to 4 bits": palettized(nbits=4),
    "palettized to 4 bits in groups": palettized(
        nbits=4, granularity="per_grouped_channel", group_size=16
    ),
    "int8 by channel": quantized(dtype="int8", granularity="per_channel"),
    "int4 by block": quantized(dtype="int4", granularity="per_block", block_size=32),
    "pruned": pruned(0.6),
    "pruned, int8": jointly(pruned(0.6), quantized(dtype="int8", granularity="per_channel")),
    "pruned, palettized": jointly(pruned(0.6), palettized(nbits=4)),
    "palettized, int8": jointly(
        palettized(nbits=4), quantized(dtype="int8", granularity="per_tensor")
    ),
}


def loaded(path: Path) -> ModuleType:
    """A module of a project, which may import others beside it."""
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def network(project: Path, files: list[str]) -> torch.nn.Module:
    """The project's model; one whose maker takes no files gets its weights here, as edgepack does it."""
    make = loaded(project / "model.py").make_model
    paths = [project / name for name in files]
    if make.__code__.co_argcount:
        made = make(paths)
    else:
        made = make()
        made.load_state_dict(torch.load(paths[0], weights_only=True))
    assert isinstance(made, torch.nn.Module)
    return made.eval()


def cases(project: Path, inputs: list[str]) -> list[dict[str, Array]]:
    """A few of the project's recordings, evenly spread."""
    every = [
        case if isinstance(case, dict) else {inputs[0]: case}
        for case in loaded(project / "data.py").validation()
    ]
    return [every[i * (len(every) - 1) // (CASES - 1)] for i in range(CASES)]


def tensors(described: list[dict[str, Any]], values: list[Any]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=d["name"], dtype="float32", shape=tuple(np.shape(v)))
        for d, v in zip(described, values, strict=True)
    )


def converted(config: dict[str, Any], module: torch.nn.Module, case: dict[str, Array]) -> Path:
    """The fp32 package for iOS 18, in the working folder."""
    given = tuple(torch.from_numpy(case[d["name"]]) for d in config["inputs"])
    with torch.no_grad():
        results = module(*given)
        results = results if isinstance(results, tuple) else (results,)
        program = torch.export.export(Flat(module), given, strict=False)
    torch.export.save(program, "model.pt2")
    job = ConvertJob(
        model=str(Path("model.pt2").resolve()),
        signature=Signature(
            name="main",
            inputs=tensors(config["inputs"], list(given)),
            outputs=tensors(config["outputs"], list(results)),
        ),
        dimensions=(),
        recipe=Recipe(target="coreml", precision="fp32", options=(("minimum_ios", "18.0"),)),
        base="",
        calibration="",
        stem="plain",
        out=str(Path.cwd()),
    )
    return Path(coreml.convert(job).file)


class Flat(torch.nn.Module):
    """A module whose results are a tuple, also where there is one."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        results = self.inner(*given)
        return results if isinstance(results, tuple) else (results,)


def predicted(path: Path, fed: list[dict[str, Array]]) -> Outputs:
    model = emulated.open_package(path)
    return [model.predict(case) for case in fed]


def relative(found: Outputs, wanted: Outputs) -> float:
    """The greatest difference, as a share of the greatest value of its output."""
    shares = [
        np.abs(f[name] - value).max() / np.abs(value).max()
        for f, w in zip(found, wanted, strict=True)
        for name, value in w.items()
    ]
    return float(max(shares)) if np.isfinite(shares).all() else float("nan")


def compressed_by(model: Any) -> list[str]:
    functions = model.get_spec().mlProgram.functions["main"]
    kinds = [o.type for b in functions.block_specializations.values() for o in b.operations]
    return sorted({kind for kind in kinds if kind.startswith("constexpr_")})


def weights(package: Path) -> int:
    return next(package.rglob("weight.bin")).stat().st_size


def main(project: Path, folder: Path) -> dict[str, Any]:
    os.chdir(folder)
    config = tomllib.loads((project / "edgepack.toml").read_text())["model"]
    module = network(project, config["files"])
    names = [d["name"] for d in config["outputs"]]
    fed = cases(project, [d["name"] for d in config["inputs"]])
    plain = converted(config, module, fed[0])
    whole = predicted(plain, fed)
    wanted = []
    with torch.inference_mode():
        for case in fed:
            results = Flat(module)(*(torch.from_numpy(value) for value in case.values()))
            wanted.append(dict(zip(names, (r.numpy() for r in results), strict=True)))
    answer: dict[str, Any] = {
        "float": relative(whole, wanted), "bytes": weights(plain), "variants": {},
    }  # fmt: skip
    opened = ct.models.MLModel(str(plain), skip_model_load=True)
    for name, way in WAYS.items():
        small = way(opened)
        path, loose = Path(f"{name}.mlpackage"), Path(f"{name}, decompressed.mlpackage")
        small.save(str(path))
        cto.decompress_weights(small).save(str(loose))
        found = predicted(path, fed)
        answer["variants"][name] = {
            "operators": compressed_by(small),
            "relative": relative(found, predicted(loose, fed)),
            "changed": relative(found, whole),
            "bytes": weights(path),
        }
    return answer


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write("\n" + json.dumps(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))))
