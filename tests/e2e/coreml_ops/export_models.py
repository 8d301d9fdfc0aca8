"""Writes small exported programs and what is known of them. Argument: the folder to write into.

NAME.pt2 is the program, NAME.json its signature with torch's dtypes, NAME.npz one case of inputs
(i0, i1, …) and outputs (o0, …).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn


class Shared(nn.Module):
    """Two outputs that are one tensor, one that is an input, one constant, and one of each dtype."""

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        y = a * 2 + 1
        return y, y, a, torch.arange(12.0), b & (c > 1), c + 1, a.sum(), a.double().mean(1)


class Dynamic(nn.Module):
    """Two axes that vary, one of them shared by both inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        hidden = self.linear(x) * mask.unsqueeze(-1)
        return hidden, hidden.sum(1)


class Weights(nn.Module):
    """An embedding, a convolution and linear layers; a channel of zeros and one of tiny weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(40, 32)
        self.convolution = nn.Conv1d(32, 24, 3, padding=1)
        self.linear = nn.Linear(24, 40)
        self.small = nn.Linear(40, 3)
        self.linear.weight.data[0] = 0
        self.linear.weight.data[1] *= 1e-5

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = torch.relu(self.convolution(self.embedding(tokens).mT)).mean(-1)
        return (self.small(torch.relu(self.linear(x))),)


class Median(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.relu(x).median(1)[0],)


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.count += 1
        return (x + self.count,)


class Large(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (x * 2**40,)


class Plain(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.relu(x) + 1,)


def describe(values: Any, axes: dict[int, dict[int, str]]) -> list[dict[str, Any]]:
    return [
        {
            "dtype": str(v.dtype).removeprefix("torch."),
            "shape": [axes.get(i, {}).get(axis, size) for axis, size in enumerate(v.shape)],
        }
        for i, v in enumerate(values)
    ]


def write(
    out: Path,
    name: str,
    module: nn.Module,
    inputs: tuple[torch.Tensor, ...],
    axes: tuple[dict[int, dict[int, str]], dict[int, dict[int, str]]] = ({}, {}),
) -> None:
    module = module.eval()
    dims = {n: torch.export.Dim(n, min=2, max=64) for a in axes[0].values() for n in a.values()}
    shapes = tuple(
        {axis: dims[n] for axis, n in axes[0].get(i, {}).items()} for i in range(len(inputs))
    )
    program = torch.export.export(
        module, inputs, dynamic_shapes=shapes if dims else None, strict=False
    )
    torch.export.save(program, out / f"{name}.pt2")
    with torch.no_grad():
        outputs = module(*inputs)
    signature = {"inputs": describe(inputs, axes[0]), "outputs": describe(outputs, axes[1])}
    (out / f"{name}.json").write_text(json.dumps(signature), encoding="utf-8")
    arrays = {f"i{k}": v.numpy() for k, v in enumerate(inputs)}
    arrays |= {f"o{k}": v.detach().numpy() for k, v in enumerate(outputs)}
    np.savez(out / f"{name}.npz", **arrays)


def main(out: Path) -> None:
    torch.manual_seed(3)
    a, b = torch.randn(2, 3), torch.tensor([True, False, True])
    write(out, "shared", Shared(), (a, b, torch.tensor([1, 2, 3])))
    names = {0: "batch", 1: "steps"}
    write(
        out, "dynamic", Dynamic(), (torch.randn(2, 5, 4), torch.ones(2, 5)),
        ({0: names, 1: names}, {0: names, 1: {0: "batch"}}),
    )  # fmt: skip
    write(out, "weights", Weights(), (torch.randint(0, 40, (2, 6)),))
    write(out, "median", Median(), (a,))
    write(out, "counter", Counter(), (a,))
    write(out, "large", Large(), (torch.tensor([1, 2]),))
    write(out, "plain", Plain(), (a,))
    write(out, "half", Plain(), (a.half(),))
    write(out, "seven_axes", Plain(), (torch.randn(1, 2, 1, 2, 1, 2),))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
