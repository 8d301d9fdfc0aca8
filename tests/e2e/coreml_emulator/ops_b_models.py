"""What takes a whole model: states over several predictions, and classifiers."""

from __future__ import annotations

from typing import Any

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813
from coremltools.converters.mil.mil import types
from ops_b_case import TARGETS, load


def check_states() -> int:
    """A counter and a window, read and written, within a choice too; each prediction goes on from the last."""

    @mb.program(
        input_specs=[
            mb.TensorSpec((2,), types.fp16), mb.StateTensorSpec((2,), types.fp16),
            mb.StateTensorSpec((4, 2), types.fp16),
        ],
        opset_version=TARGETS[18],
    )  # fmt: skip
    def program(x: Any, total: Any, window: Any) -> Any:
        before = mb.read_state(input=total)
        sums = mb.coreml_update_state(state=total, value=mb.add(x=before, y=x))
        held = mb.read_state(input=window)
        moved = mb.slice_update(
            x=mb.concat(values=(mb.slice_by_index(x=held, begin=[1, 0], end=[4, 2]),
            mb.expand_dims(x=x, axes=[0])), axis=0),
            update=mb.expand_dims(x=x, axes=[0]), begin=[3, 0], end=[4, 2],
        )  # fmt: skip
        shown = mb.coreml_update_state(state=window, value=moved)
        large = mb.greater(x=mb.reduce_sum(x=sums), y=np.float16(8))
        chosen = mb.cond(
            pred=large,
            _true_fn=lambda: mb.identity(x=sums),
            _false_fn=lambda: mb.identity(x=before),
        )
        return (
            mb.identity(x=before, name="before"),
            mb.identity(x=shown, name="shown"),
            mb.identity(x=chosen, name="chosen"),
        )

    model = load(ct.convert(
        program, minimum_deployment_target=TARGETS[18], skip_model_load=True,
        pass_pipeline=ct.PassPipeline.EMPTY,
    ))  # fmt: skip
    state = model.new_state()
    assert set(state) == {"total", "window"}, sorted(state)
    total, window = np.zeros(2), np.zeros((4, 2))
    x = np.zeros(2, np.float16)
    for step in range(5):
        x[:] = [step, step / 4]
        found = model.predict({"x": x}, state)
        before, total = total, total + x
        window = np.concatenate([window[1:], x[None]])
        np.testing.assert_array_equal(found["before"], before)
        np.testing.assert_array_equal(found["shown"], window)
        np.testing.assert_array_equal(found["chosen"], total if total.sum() > 8 else before)
    np.testing.assert_array_equal(model.predict({"x": x})["before"], np.zeros(2))
    return 5


def check_classifiers() -> int:
    """The best class and all probabilities, for texts and numbers."""
    for classes in (["cat", "dog", "eel"], [7, -1, 300]):

        @mb.program(input_specs=[mb.TensorSpec((1, 3))], opset_version=TARGETS[15])
        def program(x: Any) -> Any:
            return mb.softmax(x=x)

        model = load(ct.convert(
            program, minimum_deployment_target=TARGETS[15], compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
            classifier_config=ct.ClassifierConfig(classes),
        ))  # fmt: skip
        given = np.float32([[0.5, 2.0, 2.0]])
        found = list(model.predict({"x": given}).values())
        label = next(value for value in found if not isinstance(value, dict))
        probabilities = next(value for value in found if isinstance(value, dict))
        wanted = np.exp(given[0]) / np.exp(given[0]).sum()
        assert label == classes[1], label
        assert list(probabilities) == classes, probabilities
        np.testing.assert_allclose(list(probabilities.values()), wanted, rtol=1e-6)
    return 2
