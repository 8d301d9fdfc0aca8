"""Cases of recurrent, control_flow, classify and suppression, with formulas from their texts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813
from ops_b_case import Case, floats, random, whole

STEPS, BATCH, SIZE, HIDDEN = 4, 2, 3, 5
_ACT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x, "scaled_tanh": np.tanh,
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
}  # fmt: skip
SEQUENCE, LONG = floats(STEPS, BATCH, SIZE), floats(4 * STEPS, BATCH, SIZE)


def weights(gates: int, *, peepholes: bool = False) -> dict[str, np.ndarray]:
    found = {
        "weight_ih": floats(gates * HIDDEN, SIZE), "weight_hh": floats(gates * HIDDEN, HIDDEN),
        "bias": floats(gates * HIDDEN),
    }  # fmt: skip
    return found | ({"peephole": floats(3 * HIDDEN)} if peepholes else {})


def lstm_steps(
    x: np.ndarray, h: np.ndarray, c: np.ndarray, w: Any, act: Any, clip: float | None
) -> Any:
    gate, cell, output = (_ACT[name] for name in act)
    peep_i, peep_f, peep_o = w.get("peephole", np.zeros(3 * HIDDEN)).reshape(3, HIDDEN)
    made = []
    for one in x:
        i, f, o, z = np.split(one @ w["weight_ih"].T + h @ w["weight_hh"].T + w["bias"], 4, -1)
        c = gate(f + peep_f * c) * c + gate(i + peep_i * c) * cell(z)
        c = c if clip is None else np.clip(c, -clip, clip)
        h = gate(o + peep_o * c) * output(c)
        made.append(h)
    return np.stack(made), h, c


def lstm(direction: str, whole_sequence: bool, act: tuple[str, ...] = ("sigmoid", "tanh", "tanh"),
clip: float | None = None,
         peepholes: bool = False, x: np.ndarray = SEQUENCE) -> Case:  # fmt: skip
    there, back = weights(4, peepholes=peepholes), weights(4, peepholes=peepholes)
    both = direction == "bidirectional"
    width = HIDDEN * (2 if both else 1)
    settings: dict[str, Any] = there | ({f"{k}_back": v for k, v in back.items()} if both else {})
    settings |= {"recurrent_activation": act[0], "cell_activation": act[1], "activation": act[2]}
    settings |= {} if clip is None else {"clip": np.float32(clip)}

    def formula(x: np.ndarray, h: np.ndarray, c: np.ndarray) -> Any:
        if both:
            y, h_last, c_last = lstm_steps(x, h[:, :HIDDEN], c[:, :HIDDEN], there, act, clip)
            again = lstm_steps(x[::-1], h[:, HIDDEN:], c[:, HIDDEN:], back, act, clip)
            y = np.concatenate([y, again[0][::-1]], -1)
            h_last, c_last = (
                np.concatenate([h_last, again[1]], -1),
                np.concatenate([c_last, again[2]], -1),
            )
        else:
            y, h_last, c_last = lstm_steps(
                x[::-1] if direction == "reverse" else x, h, c, there, act, clip
            )
        return y if whole_sequence else h_last[None], h_last, c_last

    return Case(
        f"lstm {len(x)} {direction} {whole_sequence} {act} {clip} {peepholes}",
        lambda x, h, c: mb.lstm(x=x, initial_h=h, initial_c=c, direction=direction,
        output_sequence=whole_sequence, **settings),
        (x, floats(BATCH, width), floats(BATCH, width)), formula, tolerance=1e-5,
    )  # fmt: skip


def gru(
    direction: str,
    whole_sequence: bool,
    act: tuple[str, str] = ("sigmoid", "tanh"),
    after: bool | None = None,
) -> Case:
    own = weights(3)
    given = floats(3 * HIDDEN)
    settings: dict[str, Any] = own | {"recurrent_activation": act[0], "activation": act[1]}
    settings |= {} if after is None else {"reset_after": after, "input_bias": given}

    def formula(x: np.ndarray, h: np.ndarray) -> Any:
        gate, output = (_ACT[name] for name in act)
        w_r, w_o, w_z = np.split(own["weight_hh"], 3)
        b_r, b_o, b_z = np.split(own["bias"], 3)
        made = []
        for one in x[::-1] if direction == "reverse" else x:
            r, o, z = np.split(one @ own["weight_ih"].T + (0 if after is None else given), 3, -1)
            r, z = gate(r + h @ w_r.T + b_r), gate(z + h @ w_z.T + b_z)
            o = output(o + (r * (h @ w_o.T + b_o) if after else (r * h) @ w_o.T + b_o))
            h = (1 - z) * o + z * h
            made.append(h)
        return np.stack(made) if whole_sequence else h[None], h

    return Case(
        f"gru {direction} {whole_sequence} {act} {after}",
        lambda x, h: mb.gru(x=x, initial_h=h, direction=direction, output_sequence=whole_sequence,
        **settings),
        (SEQUENCE, floats(BATCH, HIDDEN)), formula, since=15 if after is None else 18,
        tolerance=1e-5,
    )  # fmt: skip


def rnn(direction: str, whole_sequence: bool, act: str) -> Case:
    own = weights(1)

    def formula(x: np.ndarray, h: np.ndarray) -> Any:
        made = []
        for one in x[::-1] if direction == "reverse" else x:
            h = _ACT[act](one @ own["weight_ih"].T + h @ own["weight_hh"].T + own["bias"])
            made.append(h)
        return np.stack(made) if whole_sequence else h[None], h

    return Case(
        f"rnn {direction} {whole_sequence} {act}",
        lambda x, h: mb.rnn(x=x, initial_h=h, direction=direction, output_sequence=whole_sequence,
        activation=act, **own),
        (SEQUENCE, floats(BATCH, HIDDEN)), formula, tolerance=1e-5,
    )  # fmt: skip


RECURRENT = [
    *[lstm(direction, sequence) for direction in ("forward", "reverse",
    "bidirectional") for sequence in (True, False)],
    *[lstm(direction, sequence, x=LONG) for direction in ("forward", "reverse",
    "bidirectional") for sequence in (True, False)],
    lstm("forward", True, peepholes=True),
    lstm("bidirectional", True, ("hard_sigmoid", "scaled_tanh", "relu"), 0.3, True),
    lstm("reverse", False, ("tanh", "linear", "sigmoid"), 0.1),
    *[gru(direction, sequence) for direction in ("forward", "reverse") for sequence in (True,
    False)],
    gru("forward", True, ("hard_sigmoid", "relu")),
    gru("forward", True, after=True),
    gru("reverse", True, after=False),
    *[rnn(direction, sequence, "tanh") for direction in ("forward",
    "reverse") for sequence in (True, False)],
    rnn("forward", True, "scaled_tanh"),
]  # fmt: skip


def suppressed(
    boxes: np.ndarray,
    scores: np.ndarray,
    iou: float,
    most: int,
    least: float | None,
    by_class: bool,
) -> Any:
    """boxes (n, count, 4), scores (n, count, classes), as the text says it, box by box."""
    n, _, classes = scores.shape
    out = np.zeros((n, most, 4)), np.zeros((n, most, classes)), np.full((n, most), -1), np.zeros(n)

    def overlap(a: np.ndarray, b: np.ndarray) -> float:
        sides = [
            max(
                0.0,
                min(a[d] + a[2 + d] / 2, b[d] + b[2 + d] / 2)
                - max(a[d] - a[2 + d] / 2, b[d] - b[2 + d] / 2),
            )
            for d in (0, 1)
        ]
        shared = sides[0] * sides[1]
        return shared / (a[2] * a[3] + b[2] * b[3] - shared)

    for k in range(n):
        best, of = scores[k].max(-1), scores[k].argmax(-1)
        kept: list[int] = []
        for i in np.argsort(-best, kind="stable"):
            beaten = any(
                overlap(boxes[k, i], boxes[k, j]) > iou and (not by_class or of[i] == of[j])
                for j in kept
            )
            if len(kept) < most and not beaten and (least is None or best[i] >= least):
                kept.append(int(i))
        if not kept and least is not None:
            kept = [int(best.argmax())]
        out[0][k, : len(kept)], out[1][k, : len(kept)] = boxes[k, kept], scores[k, kept]
        out[2][k, : len(kept)], out[3][k] = kept, len(kept)
    return out


BOXES = np.concatenate(
    [random.uniform(0, 5, (2, 20, 2)), random.uniform(1, 4, (2, 20, 2))], -1
).astype(np.float32)
SCORES = random.uniform(0, 1, (2, 20, 3)).astype(np.float32)


def suppression(iou: float, most: int, least: float, by_class: bool) -> list[Case]:
    settings: dict[str, Any] = {
        "iou_threshold": np.float32(iou),
        "max_boxes": most,
        "per_class_suppression": by_class,
    }

    def turned(found: Any) -> Any:
        return found[0].transpose(0, 2, 1), found[1].transpose(0, 2, 1), found[2]

    return [
        Case(f"suppression {iou} {most} {least} {by_class}",
             lambda b, s: mb.non_maximum_suppression(boxes=b, scores=s,
             score_threshold=np.float32(least), **settings), (BOXES, SCORES),
             lambda b, s: suppressed(b, s, iou, most, least, by_class), until=16),
        Case(f"suppression {iou} {most} {by_class}",
             lambda b, s: mb.non_maximum_suppression(boxes=b, scores=s, **settings),
             (BOXES.transpose(0, 2, 1).copy(), SCORES.transpose(0, 2, 1).copy()),
             lambda b, s: turned(suppressed(b.transpose(0, 2, 1), s.transpose(0, 2, 1), iou, most,
             None, by_class)), since=17),
    ]  # fmt: skip


SUPPRESSION = [
    case for iou, most, least, by_class in itertools.chain(
        itertools.product((0.1, 0.5), (3, 30), (0.5,), (False, True)), [(0.3, 4, 1.5, False)])
    for case in suppression(iou, most, least, by_class)
]  # fmt: skip


def looped(x: Any, n: Any) -> Any:
    """x doubled and its steps counted until the count reaches n, by a while_loop."""
    ends = mb.squeeze(x=n)
    return mb.while_loop(
        _cond=lambda count, value: mb.less(x=count, y=ends),
        _body=lambda count, value: (
            mb.add(x=count, y=1),
            mb.mul(x=value, y=mb.reduce_sum(x=mb.add(x=x, y=0.0))),
        ),
        loop_vars=(0, mb.identity(x=x)),
    )


def nested(x: Any, n: Any) -> Any:
    """A loop within a loop within a choice."""
    ends = mb.squeeze(x=n)

    def rounds(value: Any) -> Any:
        def outer(i: Any, v: Any) -> Any:
            def inner(j: Any, w: Any) -> Any:
                return mb.add(x=j, y=1), mb.add(x=w, y=mb.cast(x=i, dtype="fp32"))

            made = mb.while_loop(
                _cond=lambda j, w: mb.less(x=j, y=2), _body=inner, loop_vars=(0, v)
            )
            return mb.add(x=i, y=1), made[1]

        return mb.while_loop(
            _cond=lambda i, v: mb.less(x=i, y=ends), _body=outer, loop_vars=(0, value)
        )[1]

    return mb.cond(
        pred=mb.greater(x=mb.reduce_sum(x=x), y=0.0), _true_fn=lambda: rounds(x),
        _false_fn=lambda: mb.sub(x=x, y=1.0)
    )  # fmt: skip


def collected(x: Any) -> Any:
    """Rows of x written to a list in a loop from the last to the first, then read in several ways."""
    rows = x.shape[0]

    def body(i: Any, ls: Any) -> Any:
        row = mb.gather(x=x, indices=mb.sub(x=rows - 1, y=i), axis=0)
        return mb.add(x=i, y=1), mb.list_write(ls=ls, index=i, value=row)

    made = mb.while_loop(
        _cond=lambda i, ls: mb.less(x=i, y=rows),
        _body=body, loop_vars=(0, mb.make_list(init_length=1, elem_shape=(x.shape[1],))),
    )[1]  # fmt: skip
    both = mb.list_scatter(
        ls=made,
        indices=[0, rows + 1],
        value=mb.stack(values=(mb.list_read(ls=made, index=1),) * 2, axis=0),
    )
    return (
        mb.list_gather(ls=made, indices=[0, 2]),
        mb.list_gather(ls=both, indices=[0, rows, rows + 1]),
        mb.list_length(ls=both),
    )


ROWS = floats(3, 4)
CONTROL_FLOW = [
    Case("select", lambda a, b: mb.select(cond=mb.greater(x=a, y=0.0), a=a, b=b),
         (floats(2, 3), floats(3)),
         lambda a, b: np.where(a > 0, a, b)),
    Case("while_loop", looped, (floats(3), whole(4)), lambda x, n: (n[0], x * x.sum() ** 4),
         tolerance=1e-4),
    Case("while_loop not once", looped, (floats(3), whole(0)), lambda x, n: (n[0], x)),
    Case("cond and loops", nested, (np.float32([1, 2]), whole(3)), lambda x, n: x + 6),
    Case("cond, the other way", nested, (np.float32([-1, 0]), whole(3)), lambda x, n: x - 1),
    Case("lists", collected, (ROWS,), lambda x: (x[[2, 0]], np.stack([x[1], 0 * x[0], x[1]]), 5)),
]  # fmt: skip
