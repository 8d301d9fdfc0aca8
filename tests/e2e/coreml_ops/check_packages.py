"""Small modules through the whole conversion, evaluated without Core ML and compared with torch.

Argument: the folder to work in. Prints as JSON {model: worst relative error, or a reason}.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools  # noqa: F401 before the forks
import evaluator
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edgepack.errors import EdgepackError
from edgepack.wire.types import ConvertJob, Recipe, Signature, TensorSpec
from edgepack_targets import coreml
from edgepack_targets.coreml import decompositions

Models = dict[str, tuple[Callable[..., Any], tuple[torch.Tensor, ...]]]

INF = float("inf")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


X, Y = random(2, 3, 5), random(2, 3, 5, seed=1)
SEQUENCE = random(2, 7, 5)
A, B = X > 0, Y > 0
PICKS = torch.tensor([2, 0])
LARGE = torch.tensor([40000, 70000, -40000, 5, 65535, -32769])


class Together(nn.Module):
    """Several models as one program: converting them one by one takes minutes."""

    def __init__(self, models: Models) -> None:
        super().__init__()
        self.models = models
        self.submodules = nn.ModuleList(f for f, _ in models.values() if isinstance(f, nn.Module))

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rest = list(inputs)
        results: list[torch.Tensor] = []
        for function, given in self.models.values():
            own, rest = rest[: len(given)], rest[len(given) :]
            results += leaves(function(*own))
        return tuple(results)


def leaves(value: Any) -> list[torch.Tensor]:
    found = torch.utils._pytree.tree_leaves(value)
    return [v for v in found if isinstance(v, torch.Tensor)]


def stateful(layer: nn.RNNBase) -> Callable[..., Any]:
    """A recurrent layer that takes and gives its states as plain tensors."""

    class Stateful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor, *states: torch.Tensor) -> Any:
            return self.layer(x, states if len(states) > 1 else states[0])

    return Stateful()


def causal(x: torch.Tensor) -> torch.Tensor:
    mask = torch.triu(torch.full((x.shape[-1], x.shape[-1]), -INF), 1)
    return torch.softmax(x @ x.mT @ torch.ones(3, 3) + mask[:3, :3], -1)


def masked_by_product(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x + (1 - mask) * torch.finfo(torch.float32).min, -1)


def nearly_gelu(x: torch.Tensor) -> torch.Tensor:
    return x * 0.5005 * (1 + torch.erf(x / 1.4139))


torch.manual_seed(7)
KEEP = torch.tensor([[1.0, 1, 0, 1, 0]])
SINGLE: Models = {
    "lstm": (nn.LSTM(5, 6), (random(7, 2, 5),)),
    "lstm without bias": (nn.LSTM(5, 6, bias=False), (random(7, 2, 5),)),
    "lstm bidirectional": (nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True), (SEQUENCE,)),
    "lstm states": (
        stateful(nn.LSTM(5, 6, 2, batch_first=True)),
        (SEQUENCE, random(2, 2, 6), random(2, 2, 6, seed=2)),
    ),
    "lstm one step": (
        stateful(nn.LSTM(5, 6, batch_first=True)),
        (random(1, 1, 5), random(1, 1, 6), random(1, 1, 6, seed=2)),
    ),
    "gru": (nn.GRU(5, 6), (random(7, 2, 5),)),
    "gru without bias": (nn.GRU(5, 6, bias=False), (random(7, 2, 5),)),
    "gru bidirectional": (nn.GRU(5, 6, 2, batch_first=True, bidirectional=True), (SEQUENCE,)),
    "gru states": (stateful(nn.GRU(5, 6, 2)), (random(7, 2, 5), random(2, 2, 6))),
    "gru one step": (stateful(nn.GRU(5, 6)), (random(1, 1, 5), random(1, 1, 6))),
    "rnn_tanh": (nn.RNN(5, 6, 2, bidirectional=True), (random(7, 2, 5),)),
    "rnn_relu": (nn.RNN(5, 6, nonlinearity="relu", batch_first=True), (SEQUENCE,)),
    "rnn states": (stateful(nn.RNN(5, 6)), (random(3, 2, 5), random(1, 2, 6))),
    "gelu": (functional.gelu, (X,)),
    "gelu tanh": (lambda x: functional.gelu(x, approximate="tanh"), (X,)),
    "embedding_bag": (nn.EmbeddingBag(9, 4), (torch.tensor([[1, 2, 8], [0, 8, 3]]),)),
    "embedding_bag maximum": (
        nn.EmbeddingBag(9, 4, mode="max"),
        (torch.tensor([[1, 2, 8], [0, 8, 3]]),),
    ),
    "max_pool2d without stride": (
        lambda x: functional.max_pool2d(x, (2, 1)),
        (random(1, 2, 6, 4),),
    ),
    "max_pool1d, ceiling": (
        lambda x: functional.max_pool1d(x, 3, 2, 1, ceil_mode=True),
        (random(1, 2, 7),),
    ),
    "prod": (torch.prod, (X,)),
    "prod along an axis": (lambda x: x.prod(1, keepdim=True), (X,)),
    "index_copy": (lambda x, s: x.index_copy(1, PICKS, s), (X, random(2, 2, 5))),
    "index_add": (lambda x, s: x.index_add(-2, torch.tensor([0, 2, 0]), s, alpha=2.0), (X, Y)),
    "index_fill": (lambda x: x.index_fill(2, PICKS, 3.0), (X,)),
    "and": (lambda a, b: a & b, (A, B)),
    "or": (lambda a, b: a | b, (A, B)),
    "xor": (lambda a, b: a ^ b, (A, B)),
    "bitwise_or": (torch.bitwise_or, (A, B)),
    "bitwise_xor": (torch.bitwise_xor, (A, B)),
    "root of a square": (lambda x: torch.sqrt(x**2), (X,)),
    "nearly a gelu": (nearly_gelu, (X,)),
    "causal mask": (causal, (X,)),
    "reciprocal of small": (lambda x: 1 / x, (torch.tensor([1e-5, 1e-3, 2.0]),)),
    "addition with a factor": (lambda x, y: torch.add(x, y, alpha=0.5), (X, Y)),
}
# In half precision, what overflows in it and integers of more than 16 bits.
HALF: Models = {
    "lstm": (nn.LSTM(5, 6, batch_first=True), (SEQUENCE,)),
    "gru": (nn.GRU(5, 6, batch_first=True), (SEQUENCE,)),
    "index_fill of integers": (lambda x: x.index_fill(0, PICKS[1:], 70000), (LARGE,)),
    "causal mask": (causal, (X,)),
    "mask by a product": (masked_by_product, (X, KEEP)),
    "large integers picked": (lambda x: x[torch.tensor([0, 2, 5])], (LARGE,)),
    "large integers gathered": (lambda x, i: x.gather(0, i), (LARGE, PICKS)),
    "large table": (lambda i: LARGE[i], (PICKS,)),
    "large integers squeezed": (lambda x: (x[None] + 1).squeeze(0), (LARGE,)),
}
# Without our own decompositions, what coremltools gets wrong must be noticed.
BARE: Models = {
    "overlooked argument": (lambda x, y: torch.add(x, y, alpha=0.5), (X, Y)),
    "another shape": (torch.argmax, (X,)),
}
TOLERANCE = {"fp32": 2e-5, "fp16": 8e-3}


def spec(name: str, tensor: torch.Tensor) -> TensorSpec:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorSpec(name=name, dtype=dtype, shape=tuple(tensor.shape))


def check(models: Models, precision: str, folder: Path) -> dict[str, float | str]:
    """The worst relative error of each model's outputs, or why there is none."""
    inputs = tuple(tensor.clone() for _, given in models.values() for tensor in given)
    module = Together(models).eval()
    with torch.no_grad():
        wanted = module(*inputs)
        torch.export.save(torch.export.export(module, inputs, strict=False), folder / "model.pt2")
    signature = Signature(
        name="main",
        inputs=tuple(spec(f"input_{i}", t) for i, t in enumerate(inputs)),
        outputs=tuple(spec(f"output_{i}", t) for i, t in enumerate(wanted)),
    )
    recipe = Recipe(target="coreml", precision=precision, options=(("minimum_ios", "17.0"),))
    job = ConvertJob(
        model=str(folder / "model.pt2"), signature=signature, dimensions=(), recipe=recipe,
        base="", calibration="", stem="model", out=str(folder),
    )  # fmt: skip
    artifact = coreml.convert(job)
    pairs = zip(artifact.signature.inputs, inputs, strict=True)
    feed = {t.name: np.atleast_1d(value.numpy()).astype(t.dtype) for t, value in pairs}
    made = iter(evaluator.evaluate(folder / artifact.file, feed).values())
    expected = iter(zip(artifact.signature.outputs, wanted, strict=True))
    results: dict[str, float | str] = {}
    for name, (function, given) in models.items():
        with torch.no_grad():
            count = len(leaves(function(*given)))
        errors = [error_of(next(made), *next(expected)) for _ in range(count)]
        worst = max(errors)
        results[name] = worst if worst <= TOLERANCE[precision] else f"off by {worst}"
    return results


def error_of(made: np.ndarray[Any, Any], tensor: TensorSpec, wanted: torch.Tensor) -> float:
    if made.shape != tensor.shape or str(made.dtype) != tensor.dtype:
        return math.inf
    reference = wanted.numpy().astype(np.float64).reshape(made.shape)
    error = float(np.abs(reference - made).max(initial=0))
    relative = error / max(1.0, float(np.abs(reference).max(initial=0)))
    return math.inf if math.isnan(relative) else relative


def in_child(folder: Path, models: Models, precision: str, bare: bool) -> dict[str, float | str]:
    """What `check` says in a process of its own: coremltools keeps state between conversions."""
    folder.mkdir()
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        if bare:
            decompositions.table = dict
        try:
            result = check(models, precision, folder)
        except EdgepackError as error:
            result = dict.fromkeys(models, f"{error.code} {error.message} {error.why}")
        except Exception as error:  # noqa: BLE001 reported to the test
            result = dict.fromkeys(models, f"{type(error).__name__} {error}")
        (folder / "result.json").write_text(json.dumps(result))
        os._exit(0)
    os.waitpid(child, 0)
    answer = folder / "result.json"
    died: dict[str, float | str] = dict.fromkeys(models, "the process died")
    return json.loads(answer.read_text()) if answer.exists() else died


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    results = in_child(folder / "fp32", SINGLE, "fp32", bare=False)
    half = in_child(folder / "fp16", HALF, "fp16", bare=False)
    results |= {f"{name}, half": result for name, result in half.items()}
    for index, (name, model) in enumerate(BARE.items()):
        results |= in_child(folder / f"bare{index}", {name: model}, "fp32", bare=True)
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
