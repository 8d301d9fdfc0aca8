"""Names of classes, and the likeliest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.contract import decoding
from edgepack.contract.settings import Classes
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, np.dtype[Any]]


def read_labels(data: bytes, name: str) -> list[str]:
    """Labels of a file, one a line, in UTF-8; blanks around them, a mark and ends of any kind go.

    Raises E629 for a file that is none or has an empty line before its last label.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unfit(name, f"it is not UTF-8: {error}") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    labels = [line.strip(" \t") for line in lines]
    while labels and not labels[-1]:
        labels.pop()
    if "" in labels:
        raise unfit(name, f"line {labels.index('') + 1} is empty")
    return labels


def write_labels(labels: Sequence[str]) -> bytes:
    """The labels as apps read them: one a line, each ended by a line feed."""
    return "".join(f"{label}\n" for label in labels).encode()


def check_labels(labels: Sequence[str], shape: Sequence[int | str], name: str) -> None:
    """Raises E629 unless there is a label for each place of the output's last axis."""
    size = shape[-1] if shape else 1
    if len(labels) != size:
        raise unfit(
            name, f"it has {len(labels)} labels, the output {list(shape)} has {size} classes"
        )


def classify(output: Array, labels: Sequence[str], classes: Classes) -> list[tuple[str, float]]:
    """The likeliest labels and their probabilities, the likeliest first. output: [classes]."""
    wide = output.astype(np.float64)
    if classes.activation == "softmax":
        wide = decoding.softmax(wide)
    elif classes.activation == "sigmoid":
        wide = sigmoid(wide)
    return [(labels[place], float(wide[place])) for place in decoding.top(wide, classes.top)]


def sigmoid(logits: Array) -> Array:
    """Float64 1 / (1 + exp(-x)), without an overflow."""
    wide = logits.astype(np.float64)
    power = np.exp(-np.abs(wide))
    shares: Array = np.where(wide >= 0, 1.0, power) / (1.0 + power)
    return shares


def unfit(name: str, why: str) -> EdgepackError:
    """E629 about a file of labels."""
    return EdgepackError(
        "E629",
        f"the labels in {name} do not fit",
        why=why,
        help="Give a text file with one label a line, in the order of the model's classes.",
    )
