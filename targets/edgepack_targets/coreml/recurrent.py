"""Recurrent layers of exported programs, which coremltools 9.0 knows from TorchScript only.

A layer and direction has, as torch gives them, input weights, hidden weights and, if it has any, an
input and a hidden bias, with the gates stacked along the first axis. Inside MIL a sequence is
(time, batch, features) and a state (batch, features). torch.export fixes the number of time steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from edgepack_targets.coreml.ops import Call

    Array = np.ndarray[Any, Any]

Weights = tuple["Array", ...]
Sweep = Callable[[Any, Any, list[Any], Weights], tuple[Any, list[Any]]]
"""(MIL builder, sequence, first states, weights) to (sequence, last states), forward in time."""


def lstm(call: Call) -> tuple[Any, ...]:
    """Sequence, last hidden state and last cell state."""
    return _run(call, call.arguments["hx"], _sweep_lstm)


def gru(call: Call) -> tuple[Any, ...]:
    """Sequence and last hidden state.

    Unrolled: before iOS 18 MIL's gru applies the reset gate before the matrix product, torch after.
    """
    return _run(call, [call.arguments["hx"]], _sweep_gru)


def rnn_tanh(call: Call) -> tuple[Any, ...]:
    """Sequence and last hidden state."""
    return _run(call, [call.arguments["hx"]], _sweep_rnn("tanh"))


def rnn_relu(call: Call) -> tuple[Any, ...]:
    """Sequence and last hidden state."""
    return _run(call, [call.arguments["hx"]], _sweep_rnn("relu"))


def _run(call: Call, states: list[Any], sweep: Sweep) -> tuple[Any, ...]:
    """All layers and directions of a call: the last layer's sequence, then each state stacked."""
    build, arguments = call.build, call.arguments
    directions = 2 if arguments["bidirectional"] else 1
    count = arguments["num_layers"] * directions
    weights = _weights(arguments["params"], count)
    last: list[list[Any]] = [[] for _ in states]
    x = arguments["input"]
    if arguments["batch_first"]:
        x = build.transpose(x=x, perm=[1, 0, 2])
    for layer in range(arguments["num_layers"]):
        outputs = []
        for index in range(layer * directions, (layer + 1) * directions):
            backward = index % directions == 1
            first = [_state(build, state, index, count) for state in states]
            source = build.reverse(x=x, axes=[0]) if backward else x
            sequence, ends = sweep(build, source, first, weights[index])
            outputs.append(build.reverse(x=sequence, axes=[0]) if backward else sequence)
            for kept, end in zip(last, ends, strict=True):
                kept.append(end)
        x = outputs[0] if directions == 1 else build.concat(values=outputs, axis=2)
    if arguments["batch_first"]:
        x = build.transpose(x=x, perm=[1, 0, 2])
    return (x, *(build.stack(values=kept, axis=0) for kept in last))


def _sweep_lstm(build: Any, x: Any, states: list[Any], weights: Weights) -> tuple[Any, list[Any]]:
    """One direction of one LSTM layer: MIL's lstm, whose gates are in another order."""
    import numpy as np

    def reordered(stacked: Array) -> Array:
        i, f, g, o = np.split(stacked, 4)
        return np.concatenate([i, f, o, g])

    sequence, hidden, cell = build.lstm(
        x=x,
        initial_h=states[0],
        initial_c=states[1],
        weight_ih=reordered(weights[0]),
        weight_hh=reordered(weights[1]),
        bias=reordered(weights[2] + weights[3]) if weights[2:] else None,
        direction="forward",
        output_sequence=True,
    )
    return sequence, [hidden, cell]


def _sweep_rnn(activation: str) -> Sweep:
    """One direction of one plain recurrent layer: MIL's rnn."""

    def sweep(build: Any, x: Any, states: list[Any], weights: Weights) -> tuple[Any, list[Any]]:
        sequence, hidden = build.rnn(
            x=x,
            initial_h=states[0],
            weight_ih=weights[0],
            weight_hh=weights[1],
            bias=weights[2] + weights[3] if weights[2:] else None,
            direction="forward",
            output_sequence=True,
            activation=activation,
        )
        return sequence, [hidden]

    return sweep


def _sweep_gru(build: Any, x: Any, states: list[Any], weights: Weights) -> tuple[Any, list[Any]]:
    """One direction of one GRU layer, step by step; what depends on the input alone is done at once."""
    import numpy as np

    features = weights[1].shape[1]
    input_bias, hidden_bias = weights[2:] or (np.zeros(3 * features, weights[0].dtype),) * 2
    gates = build.linear(x=x, weight=weights[0], bias=input_bias)
    steps = [gates] if x.shape[0] == 1 else build.split(x=gates, num_splits=x.shape[0], axis=0)
    hidden = states[0]
    outputs = []
    for step in steps:
        from_input = build.squeeze(x=step, axes=[0])
        from_hidden = build.linear(x=hidden, weight=weights[1], bias=hidden_bias)
        reset_input, update_input, new_input = build.split(x=from_input, num_splits=3, axis=1)
        reset_hidden, update_hidden, new_hidden = build.split(x=from_hidden, num_splits=3, axis=1)
        reset = build.sigmoid(x=build.add(x=reset_input, y=reset_hidden))
        update = build.sigmoid(x=build.add(x=update_input, y=update_hidden))
        gated = build.mul(x=reset, y=new_hidden)
        new = build.tanh(x=build.add(x=new_input, y=gated))
        difference = build.sub(x=hidden, y=new)
        hidden = build.add(x=new, y=build.mul(x=update, y=difference))
        outputs.append(hidden)
    return build.stack(values=outputs, axis=0), [hidden]


def _weights(params: list[Any], count: int) -> list[Weights]:
    """The constants of each layer and direction. Raises ValueError if one is computed."""
    size = len(params) // count
    values = [variable.val for variable in params]
    if any(value is None for value in values):
        raise ValueError("the weights of a recurrent layer must be constants")
    return [tuple(values[start : start + size]) for start in range(0, len(values), size)]


def _state(build: Any, stacked: Any, index: int, count: int) -> Any:
    """The first state of one layer and direction."""
    if count == 1:
        return build.squeeze(x=stacked, axes=[0])
    return build.slice_by_index(
        x=stacked,
        begin=[index, 0, 0],
        end=[index + 1, 0, 0],
        begin_mask=[False, True, True],
        end_mask=[False, True, True],
        squeeze_mask=[True, False, False],
    )


TRANSLATIONS = {
    "lstm.input": lstm,
    "gru.input": gru,
    "rnn_tanh.input": rnn_tanh,
    "rnn_relu.input": rnn_relu,
}
