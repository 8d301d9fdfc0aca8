"""Recurrent layers as loops.

ExecuTorch unrolls aten.lstm and its kin: 160 steps of three layers become ten thousand nodes, and
lowering them takes more than ten minutes (1.5.1). As a scan the same layers stay a loop in the
program: seconds to lower, a length that may vary, and the results of torch to the last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional

aten = torch.ops.aten
State = tuple[Tensor, ...]
Step = Callable[[State, Tensor, Tensor, Tensor], tuple[State, Tensor]]


def loop(module: fx.GraphModule) -> int:
    """Replace the recurrent layers of a graph in place; their number."""
    found = [node for node in module.graph.nodes if node.target in REPLACEMENTS and _plain(node)]
    for node in found:
        node.target = REPLACEMENTS[node.target]
    return len(found)


def _plain(node: fx.Node) -> bool:
    """Whether a layer is at evaluation, has biases, and has no projections."""
    _, _, weights, biases, layers, _, training, both = node.args[:8]
    return biases is True and not training and len(weights) == 4 * layers * (2 if both else 1)


def lstm(
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    _biases: bool,
    layers: int,
    _dropout: float,
    _training: bool,
    both: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """aten.lstm.input: outputs (time, batch, features), last h, last c, as float32."""
    out, last = _run(_lstm_step, x, tuple(state), weights, layers, both, batch_first)
    return out, last[0], last[1]


def gru(x: Tensor, state: Tensor, weights: Sequence[Tensor], *rest: Any) -> tuple[Tensor, Tensor]:
    """aten.gru.input: outputs (time, batch, features) and last h, as float32."""
    _, layers, _, _, both, batch_first = rest
    out, last = _run(_gru_step, x, (state,), weights, layers, both, batch_first)
    return out, last[0]


def rnn_tanh(
    x: Tensor, state: Tensor, weights: Sequence[Tensor], *rest: Any
) -> tuple[Tensor, Tensor]:
    """aten.rnn_tanh.input: outputs (time, batch, features) and last h, as float32."""
    _, layers, _, _, both, batch_first = rest
    out, last = _run(_tanh_step, x, (state,), weights, layers, both, batch_first)
    return out, last[0]


def rnn_relu(
    x: Tensor, state: Tensor, weights: Sequence[Tensor], *rest: Any
) -> tuple[Tensor, Tensor]:
    """aten.rnn_relu.input: outputs (time, batch, features) and last h, as float32."""
    _, layers, _, _, both, batch_first = rest
    out, last = _run(_relu_step, x, (state,), weights, layers, both, batch_first)
    return out, last[0]


REPLACEMENTS: dict[Any, Callable[..., Any]] = {
    aten.lstm.input: lstm,
    aten.gru.input: gru,
    aten.rnn_tanh.input: rnn_tanh,
    aten.rnn_relu.input: rnn_relu,
}


def _run(
    step: Step,
    x: Tensor,
    state: State,
    weights: Sequence[Tensor],
    layers: int,
    both: bool,
    batch_first: bool,
) -> tuple[Tensor, State]:
    """All layers and directions of a network over `x`, its last states stacked like torch's."""
    x = x.transpose(0, 1) if batch_first else x
    directions = 2 if both else 1
    finals: list[State] = []
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            start = tuple(part[index] for part in state)
            own = tuple(weights[4 * index : 4 * index + 4])
            out, last = _direction(step, x, start, own, backwards=direction == 1)
            outputs.append(out)
            finals.append(last)
        x = torch.cat(outputs, dim=2) if both else outputs[0]
    stacked = tuple(torch.stack([last[i] for last in finals]) for i in range(len(state)))
    return x.transpose(0, 1) if batch_first else x, stacked


def _direction(
    step: Step, x: Tensor, start: State, weights: tuple[Tensor, ...], *, backwards: bool
) -> tuple[Tensor, State]:
    """One layer in one direction: outputs (time, batch, hidden) and last state (batch, hidden).

    Within the loop states are (hidden, batch), so that the matrix product reads the recurrent weight
    row by row, as it is stored. The loop computes in float32 even where weights are stored in half:
    errors would add up over time, and ExecuTorch's own product is five times slower in half.
    """
    into, hidden, into_bias, hidden_bias = weights
    gates = functional.linear(x.to(into.dtype), into, into_bias).float()
    gates = gates.transpose(1, 2).contiguous()
    hidden, bias = hidden.float(), hidden_bias.float().unsqueeze(1)
    # A clone, because a transposed row counts as contiguous and keeps strides that scan refuses.
    carry = tuple(part.float().t().clone(memory_format=torch.contiguous_format) for part in start)
    if gates.shape[0] == 1:
        carry, out = step(carry, gates[0], hidden, bias)
        outs = out.unsqueeze(0)
    else:
        # Public in torch.ops.higher_order; its Python face has no public path yet (torch 2.13).
        from torch._higher_order_ops.scan import scan

        gates = torch.flip(gates, [0]) if backwards else gates
        carry, outs = scan(lambda now, gate: step(now, gate, hidden, bias), carry, gates, dim=0)
        outs = torch.flip(outs, [0]) if backwards else outs
    return outs.transpose(1, 2), tuple(part.t() for part in carry)


def _lstm_step(carry: State, gates: Tensor, weight: Tensor, bias: Tensor) -> tuple[State, Tensor]:
    """One step of an LSTM; gates in torch's order: input, forget, cell, output."""
    h, c = carry
    size = h.shape[0]
    gates = gates + bias + torch.mm(weight, h)
    opened = torch.sigmoid(gates[: 2 * size])
    cell = torch.tanh(gates[2 * size : 3 * size])
    c = opened[size:] * c + opened[:size] * cell
    h = torch.sigmoid(gates[3 * size :]) * torch.tanh(c)
    return (h, c), h.clone()


def _gru_step(carry: State, gates: Tensor, weight: Tensor, bias: Tensor) -> tuple[State, Tensor]:
    """One step of a GRU; gates in torch's order: reset, update, new."""
    (h,) = carry
    size = h.shape[0]
    own = torch.mm(weight, h) + bias
    opened = torch.sigmoid(gates[: 2 * size] + own[: 2 * size])
    new = torch.tanh(gates[2 * size :] + opened[:size] * own[2 * size :])
    h = new + opened[size:] * (h - new)
    return (h,), h.clone()


def _tanh_step(carry: State, gates: Tensor, weight: Tensor, bias: Tensor) -> tuple[State, Tensor]:
    """One step of an Elman network with tanh."""
    h = torch.tanh(gates + bias + torch.mm(weight, carry[0]))
    return (h,), h.clone()


def _relu_step(carry: State, gates: Tensor, weight: Tensor, bias: Tensor) -> tuple[State, Tensor]:
    """One step of an Elman network with relu."""
    h = torch.relu(gates + bias + torch.mm(weight, carry[0]))
    return (h,), h.clone()


def lstm_cell(
    x: Tensor, state: Sequence[Tensor], into: Tensor, hidden: Tensor, *biases: Tensor
) -> tuple[Tensor, Tensor]:
    """aten.lstm_cell with products in the weights' dtype and gates and states in float32."""
    h, c = state
    gates = functional.linear(x.to(into.dtype), into, *biases[:1]).float()
    gates = gates + functional.linear(h.to(hidden.dtype), hidden, *biases[1:]).float()
    opened, forget, cell, out = gates.chunk(4, dim=1)
    c = torch.sigmoid(forget) * c + torch.sigmoid(opened) * torch.tanh(cell)
    return torch.sigmoid(out) * torch.tanh(c), c
