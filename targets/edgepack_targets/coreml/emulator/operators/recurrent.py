"""Recurrent layers (coremltools, mil/ops/defs/iOS15/recurrent.py; iOS 18 adds parameters of `gru`).

Sequences are (steps, batch, values). With direction "reverse" the steps are read from the last to the
first and results stand in the order in which they were made; only the backward half of a bidirectional
layer is put back into the order of its input. Without output_sequence the first result is the last
step's alone. In fp16-accumulate, products and what goes from step to step are held in half precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.operators.linear import multiplied
from edgepack_targets.coreml.emulator.operators.registry import Site, Tensor, operator
from edgepack_targets.coreml.emulator.precision import to_half

_Activation = Callable[[Tensor], Tensor]
_Product = Callable[[Tensor, Tensor], Tensor]


def _hard_sigmoid(x: Tensor) -> Tensor:
    return (0.2 * x + 0.5).clamp_(0, 1)


def _linear(x: Tensor) -> Tensor:
    return x


_DIRECTIONS = ("forward", "reverse")

# scaled_tanh and hard_sigmoid have their default parameters in here: 1 and 1, 0.2 and 0.5.
_ACTIVATIONS: dict[str, _Activation] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "linear": _linear,
    "scaled_tanh": torch.tanh,
    "hard_sigmoid": _hard_sigmoid,
    "sigmoid_hard": _hard_sigmoid,
}


@operator("rnn")
def rnn(
    site: Site,
    x: Tensor,
    initial_h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    activation: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """`h` = activation(x · weight_ih + h · weight_hh + bias), step by step."""
    act = _activation(activation)
    weights = weight_hh.T
    product, kept = _arithmetic(site.in_half)
    h, made = initial_h, []
    for given in _projected(x, weight_ih, bias, direction, product):
        h = kept(act(given + product(h, weights)))
        made.append(h)
    return _sequence(made, h, output_sequence), h


@operator("gru")
def gru(
    site: Site,
    x: Tensor,
    initial_h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
    reset_after: bool = False,
    input_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`h` = (1 - z) · o + z · h with gates in the order reset, output, update.

    The reset gate acts on h before its product with the weights or, with reset_after, on the product and
    its bias.
    """
    gate, act = _activation(recurrent_activation), _activation(activation)
    size = weight_hh.shape[1]
    by_r, by_o, by_z = (part.T for part in weight_hh.split(size))
    of_r, of_o, of_z = (0, 0, 0) if bias is None else bias.split(size)
    product, kept = _arithmetic(site.in_half)
    h, made = initial_h, []
    for given in _projected(x, weight_ih, input_bias, direction, product):
        x_r, x_o, x_z = given.split(size, -1)
        r = gate(x_r + product(h, by_r) + of_r)
        z = gate(x_z + product(h, by_z) + of_z)
        reset = r * (product(h, by_o) + of_o) if reset_after else product(r * h, by_o) + of_o
        o = act(x_o + reset)
        h = kept((1 - z) * o + z * h)
        made.append(h)
    return _sequence(made, h, output_sequence), h


@dataclass(frozen=True, slots=True)
class _Cell:
    """What one direction of an LSTM computes with: activations of gates, cell and output."""

    gate: _Activation
    cell: _Activation
    output: _Activation
    clip: float | None
    in_half: bool


_PLAIN = _Cell(torch.sigmoid, torch.tanh, torch.tanh, None, in_half=False)
_LONG = 8
"""Steps from which putting the weights in torch's order is worth its time."""


@operator("lstm")
def lstm(
    site: Site, x: Tensor, initial_h: Tensor, initial_c: Tensor, weight_ih: Tensor, weight_hh: Tensor,
    bias: Tensor | None = None, peephole: Tensor | None = None, weight_ih_back: Tensor | None = None,
    weight_hh_back: Tensor | None = None, bias_back: Tensor | None = None,
    peephole_back: Tensor | None = None, direction: str = "forward", output_sequence: bool = False,
    recurrent_activation: str = "sigmoid", cell_activation: str = "tanh", activation: str = "tanh",
    clip: float | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """`c` = f · c + i · z and h = o · activation(c), with gates in the order i, f, o, z.

    peephole: what i and f take of the old cell, o of the new one. clip: the cell's greatest magnitude.
    A bidirectional layer has both directions side by side on the last axis.
    """
    cell = _Cell(
        _activation(recurrent_activation),
        _activation(cell_activation),
        _activation(activation),
        clip,
        site.in_half,
    )
    # The converter gives packed sequences a state of more rows than the batch has; the first are meant
    # (coremltools 9.0, frontend/torch/test/test_torch_ops.py, TestLSTMWithPackedSequence).
    initial_h, initial_c = initial_h[: x.shape[1]], initial_c[: x.shape[1]]
    forward = (weight_ih, weight_hh, bias, peephole)
    if direction not in (*_DIRECTIONS, "bidirectional"):
        raise errors.unsupported(f"direction {direction!r} of recurrent layers")
    if direction != "bidirectional":
        made, h, c = _directed(cell, x, initial_h, initial_c, forward, direction)
        return _sequence(made, h, output_sequence), h, c
    if weight_ih_back is None or weight_hh_back is None:
        raise errors.failed("a bidirectional layer lacks the weights of its backward direction")
    back = (weight_ih_back, weight_hh_back, bias_back, peephole_back)
    (h_there, h_back), (c_there, c_back) = initial_h.chunk(2, -1), initial_c.chunk(2, -1)
    there, h_there, c_there = _directed(cell, x, h_there, c_there, forward, "forward")
    again, h_back, c_back = _directed(cell, x, h_back, c_back, back, "reverse")
    made = [torch.cat(pair, -1) for pair in zip(there, reversed(again), strict=True)]
    h, c = torch.cat([h_there, h_back], -1), torch.cat([c_there, c_back], -1)
    return _sequence(made, h, output_sequence), h, c


def _directed(
    cell: _Cell,
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weights: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    direction: str,
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Hidden states as they are made, the last one, and the last cell."""
    weight_ih, weight_hh, bias, peephole = weights
    size = weight_hh.shape[1]
    if cell == _PLAIN and peephole is None and len(x) >= _LONG:
        return _fused(x, h, c, weights, direction)
    by_h = weight_hh.T
    product, kept = _arithmetic(cell.in_half)
    made = []
    for given in _projected(x, weight_ih, bias, direction, product):
        i, f, o, z = (given + product(h, by_h)).split(size, -1)
        if peephole is not None:
            of_i, of_f, of_o = peephole.split(size)
            i, f = i + of_i * c, f + of_f * c
        c = cell.gate(f) * c + cell.gate(i) * cell.cell(z)
        if cell.clip is not None:
            c = c.clamp(-cell.clip, cell.clip)
        c = kept(c)
        if peephole is not None:
            o = o + of_o * c
        h = kept(cell.gate(o) * cell.output(c))
        made.append(h)
    return made, h, c


def _fused(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weights: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    direction: str,
) -> tuple[list[Tensor], Tensor, Tensor]:
    """What `_directed` gives, by torch's own LSTM, whose gates come in the order i, f, z, o."""
    turned: list[Tensor] = []
    for part in weights[:3]:
        if part is not None:
            i, f, o, z = part.chunk(4)
            turned.append(torch.cat([i, f, z, o]))
    has_bias = weights[2] is not None
    if has_bias:
        turned.append(torch.zeros_like(turned[-1]))
    steps = x.flip(0) if direction == "reverse" else x
    states = (h.unsqueeze(0), c.unsqueeze(0))
    made, h, c = torch.lstm(steps, states, turned, has_bias, 1, 0.0, False, False, False)
    return list(made.unbind(0)), h[0], c[0]


def _activation(name: str) -> _Activation:
    found = _ACTIVATIONS.get(name.lower())
    if found is None:
        raise errors.unsupported(f"activation {name!r} of recurrent layers")
    return found


def _arithmetic(in_half: bool) -> tuple[_Product, _Activation]:
    """The matrix product, and what becomes of a state before the next step."""
    return (multiplied, to_half) if in_half else (torch.matmul, _linear)


def _projected(
    x: Tensor, weight: Tensor, bias: Tensor | None, direction: str, product: _Product
) -> tuple[Tensor, ...]:
    """What the input adds to the gates, step by step in the order of work."""
    if direction not in _DIRECTIONS:
        raise errors.unsupported(f"direction {direction!r} of recurrent layers")
    made = product(x, weight.T)
    steps = (made if bias is None else made + bias).unbind(0)
    return steps[::-1] if direction == "reverse" else steps


def _sequence(made: list[Tensor], last: Tensor, whole: bool) -> Tensor:
    return torch.stack(made) if whole else last.unsqueeze(0)
