"""Searches find what trying everything finds; speech is cut where a hand would cut it."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest

from edgepack.contract import classes, decoding
from edgepack.contract.decoding import Generation, Speech
from edgepack.contract.settings import Carried, Classes
from edgepack.errors import EdgepackError
from golden.make_contract import FOLDER, step, wave

VECTORS: dict[str, Any] = json.loads((FOLDER / "decoding.json").read_text(encoding="utf-8"))
Array = np.ndarray[Any, Any]


def test_the_vectors_still_come_out() -> None:
    for case in VECTORS["softmax"]:
        np.testing.assert_allclose(
            decoding.softmax(np.array(case["logits"])), case["values"], 1e-12
        )
    case = VECTORS["sigmoid"]
    np.testing.assert_allclose(classes.sigmoid(np.array(case["logits"])), case["values"], 1e-12)
    for case in VECTORS["top"]:
        assert decoding.top(np.array(case["values"]), case["count"]) == case["places"]
    for case in VECTORS["ctc"]:
        logits = 4 * wave(case["seed"], 120).reshape(24, 5).astype(np.float64)
        found = decoding.ctc_beam(logits, 4, beams=6, candidates=4)
        assert decoding.ctc_greedy(logits, 4) == case["greedy"]
        assert [list(tokens) for tokens, _ in found] == [text["tokens"] for text in case["texts"]]
    for case in VECTORS["generated"]:
        settings = msgspec.convert(case["settings"], Generation)
        assert decoding.generate(step, case["seed"], settings) == case["tokens"], settings
    for case in VECTORS["stretches"]:
        settings = msgspec.convert(case["settings"], Speech)
        found = decoding.stretches(case["probabilities"], case["samples"], settings)
        assert [list(stretch) for stretch in found] == case["stretches"], settings
    for case in VECTORS["labels"]:
        if case["labels"] is not None:
            assert classes.read_labels(case["file"].encode(), "l") == case["labels"]


# --- classes -------------------------------------------------------------------------------------


def test_equal_numbers_stay_in_order_and_nan_comes_last() -> None:
    assert decoding.top(np.array([math.nan, 2, -math.inf, 2, 3]), 4) == [4, 1, 3, 0]


def test_a_probability_adds_up_even_of_huge_logits() -> None:
    assert decoding.softmax(np.array([1e4, 1e4, -1e4])).tolist() == [0.5, 0.5, 0]
    np.testing.assert_allclose(decoding.log_softmax(np.array([1e4, 1e4])), -math.log(2))


def test_the_likeliest_classes_are_named() -> None:
    output = np.array([0.0, 2.0, 1.0], np.float32)
    found = classes.classify(output, ["a", "b", "c"], Classes(labels="l", top=2))
    total = 1 + math.exp(1) + math.exp(2)
    assert [name for name, _ in found] == ["b", "c"]
    assert [share for _, share in found] == pytest.approx(
        [math.exp(2) / total, math.exp(1) / total]
    )
    plain = classes.classify(output, ["a", "b", "c"], Classes(labels="l", activation="none"))
    assert plain == [("b", 2.0), ("c", 1.0), ("a", 0.0)]


def test_labels_survive_their_file() -> None:
    labels = ["chat", "crème brûlée", "two words", "line\u2028inside", "日本"]
    assert classes.read_labels(classes.write_labels(labels), "l") == labels


@pytest.mark.parametrize("data", [b"a\n\nb\n", b"\n a", b"\xff\xfea\0", b"caf\xe9\n"])
def test_labels_that_are_no_text_or_have_gaps_are_refused(data: bytes) -> None:
    with pytest.raises(EdgepackError, match="E629"):
        classes.read_labels(data, "labels.txt")


@pytest.mark.parametrize("shape", [(1, 3), (1, "batch"), (2, 4), ()])
def test_labels_must_be_as_many_as_classes(shape: tuple[int | str, ...]) -> None:
    classes.check_labels(["a", "b"], (1, 2), "l")
    with pytest.raises(EdgepackError, match="E629"):
        classes.check_labels(["a", "b"], shape, "l")


# --- tokens --------------------------------------------------------------------------------------


def test_ctc_repetitions_need_a_blank_between_them() -> None:
    best = [0, 0, 4, 0, 1, 1, 4, 4, 1]
    logits = np.full((len(best), 5), -9.0)
    logits[range(len(best)), best] = 9.0
    assert decoding.ctc_greedy(logits, 4) == [0, 0, 1, 1]
    (tokens, chance), *_ = decoding.ctc_beam(logits, 4, beams=4, candidates=5)
    assert tokens == (0, 0, 1, 1)
    assert chance == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_ctc_beam_search_adds_up_all_paths_of_a_text(seed: int) -> None:
    logs = decoding.log_softmax(2 * wave(seed, 15).reshape(5, 3))
    texts: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(3), repeat=5):
        tokens = tuple(token for token, _ in itertools.groupby(path) if token != 2)
        chance = math.exp(sum(logs[frame, token] for frame, token in enumerate(path)))
        texts[tokens] = texts.get(tokens, 0.0) + chance
    found = decoding.ctc_beam(logs, 2, beams=1000, candidates=3)
    assert {tokens: math.exp(chance) for tokens, chance in found} == pytest.approx(texts)
    assert found[0][0] == max(texts, key=lambda tokens: texts[tokens])


def every_text(settings: Generation, seed: int, vocabulary: int) -> tuple[int, ...]:
    """The best text of all, by trying each."""
    room = settings.longest - len(settings.start)
    best: tuple[float, tuple[int, ...]] = (-math.inf, ())
    waiting = [((), 0.0, seed)]
    while waiting:
        tokens, total, state = waiting.pop()
        last = tokens[-1] if tokens else settings.start[-1]
        logits, after = step(state, last, len(tokens))
        chances = decoding.log_softmax(logits)
        for token in range(vocabulary):
            grown, sum_of = (*tokens, token), total + float(chances[token])
            if token == settings.end or len(grown) == room:
                best = max(
                    best, (sum_of / ((5 + len(grown)) / 6) ** settings.length_penalty, grown)
                )
            else:
                waiting.append((grown, sum_of, after))
    return best[1]


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_wide_enough_finds_the_best_of_all_texts(seed: int) -> None:
    settings = Generation(start=(1,), end=0, longest=4, beams=14**3, length_penalty=0.8)
    wanted = [token for token in every_text(settings, seed, 14) if token != 0]
    assert decoding.generate(step, seed, settings) == wanted


def test_greedy_takes_the_likeliest_and_stops_at_the_end() -> None:
    rows = {0: [0, 1, 9, 9], 2: [0, 5, 1, 4], 1: [0, 1, 2, 7]}

    def next_of(state: int, token: int, place: int) -> tuple[Array, int]:
        assert place == state
        return np.array(rows[token], np.float32), state + 1

    settings = Generation(start=(0,), end=3, longest=9)
    assert decoding.generate(next_of, 0, settings) == [2, 1]
    barred = msgspec.structs.replace(settings, suppressed=(3,), longest=6, suppressed_first=(2,))
    rows[3] = [9, 0, 0, 0]
    assert decoding.generate(next_of, 0, barred) == [1, 2, 1, 2, 1]


def test_given_tokens_are_fed_and_not_returned() -> None:
    fed = []

    def next_of(state: None, token: int, place: int) -> tuple[Array, None]:
        fed.append((token, place))
        return np.array([0.0, 1.0]), None

    assert decoding.generate(next_of, None, Generation(start=(7, 8, 9), end=1, longest=9)) == []
    assert fed == [(7, 0), (8, 1), (9, 2)]
    assert decoding.generate(next_of, None, Generation(start=(7, 8), end=0, longest=2)) == []


@pytest.mark.parametrize("logits", [[math.nan, 1.0], [math.inf, 1.0], [-math.inf, -math.inf]])
def test_logits_that_are_no_numbers_are_refused(logits: list[float]) -> None:
    for beams in (1, 3):
        with pytest.raises(EdgepackError, match="E628"):
            decoding.generate(
                lambda *_: (np.array(logits), None), None,
                Generation(start=(0,), end=1, longest=5, beams=beams),
            )  # fmt: skip


def test_a_stream_carries_its_state() -> None:
    stream = decoding.CarriedState(
        [Carried(input="h", output="hn")], {"h": np.zeros(1), "unused": np.ones(1)}
    )
    for turn in range(3):
        inputs = stream.inputs({"x": np.array([1.0])})
        assert (sorted(inputs), inputs["h"].tolist()) == (["h", "x"], [turn])
        assert list(stream.take({"y": inputs["x"], "hn": inputs["h"] + 1})) == ["y"]


# --- speech --------------------------------------------------------------------------------------

PLAIN = Speech(sample_rate=1000, frame=10, min_speech_ms=0, min_silence_ms=20, pad_ms=0)


@pytest.mark.parametrize(
    ("probabilities", "settings", "expected"),
    [
        ([0, 0, 1, 1, 0, 0, 0, 0], {}, [(20, 40)]),
        # What lies between release and threshold neither begins nor ends speech.
        ([0.4, 1, 0.4, 0.4, 0.4, 0.4, 0.1, 0.1, 0.1], {}, [(10, 60)]),
        # A silence shorter than the least one is part of the speech.
        ([1, 0, 0, 1, 0, 0, 0, 1], {}, [(0, 40), (70, 80)]),
        ([1, 0, 0, 1, 0, 0, 0, 1], {"min_speech_ms": 20}, [(0, 40)]),
        ([1, 0, 0, 1, 0, 0, 0, 1], {"pad_ms": 4}, [(0, 44), (66, 80)]),
        ([1, 0, 0, 1, 0, 0, 0, 1], {"pad_ms": 40}, [(0, 55), (55, 80)]),
        ([1] * 8, {"longest_ms": 30}, [(0, 30), (30, 60), (60, 80)]),
        # Cut in the last short silence before the stretch gets too long, or in the one that lasts.
        ([1, 1, 0, 1, 1, 1, 0, 0, 0, 0], {"longest_ms": 50}, [(0, 20), (30, 60)]),
        ([1, 1, 1, 0, 0, 1, 1, 0, 0, 0], {"longest_ms": 40}, [(0, 30), (50, 70)]),
        ([0.49] * 5, {}, []),
        ([], {}, []),
    ],
)  # fmt: skip
def test_speech_by_hand(
    probabilities: list[float], settings: dict[str, Any], expected: list[tuple[int, int]]
) -> None:
    speech = msgspec.structs.replace(PLAIN, **settings)
    assert decoding.stretches(probabilities, 10 * len(probabilities), speech) == expected
