"""Answers out of a model's numbers: classes, transcripts, generated tokens, stretches of speech.

Sums are float64. Of equal numbers the one with the lower index comes first, always.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from edgepack.contract.settings import Carried, Generation, Speech
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Array = np.ndarray[Any, np.dtype[Any]]
State = TypeVar("State")


# --- classes -------------------------------------------------------------------------------------


def softmax(logits: Array) -> Array:
    """Float64 probabilities along the last axis."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def log_softmax(logits: Array) -> Array:
    """Float64 logarithms of the probabilities along the last axis."""
    wide = logits.astype(np.float64)
    below = wide - wide.max(axis=-1, keepdims=True)
    logs: Array = below - np.log(np.exp(below).sum(axis=-1, keepdims=True))
    return logs


def top(values: Array, count: int) -> list[int]:
    """Places of the largest values, the largest first; those that are no numbers come last."""
    order = np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")
    return [int(place) for place in order[:count]]


# --- tokens of frames ----------------------------------------------------------------------------


def ctc_greedy(logits: Array, blank: int) -> list[int]:
    """Tokens of [frames, tokens]: the likeliest of each frame, repetitions and blanks left out.

    Source: Graves et al., ICML 2006.
    """
    best = [top(frame, 1)[0] for frame in logits]
    changes = [t for t, before in zip(best, [None, *best], strict=False) if t != before]
    return [token for token in changes if token != blank]


def ctc_beam(
    logits: Array, blank: int, *, beams: int, candidates: int
) -> list[tuple[tuple[int, ...], float]]:
    """The likeliest texts of [frames, tokens] and their log probabilities, the best first.

    beams: texts that are followed. candidates: likeliest tokens of each frame that are tried.
    Source: Hannun et al., arXiv:1408.2873, algorithm 1, without a language model.
    """
    texts: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for frame in log_softmax(logits):
        grown: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(text: tuple[int, ...], by_blank: float, by_token: float, into: Any = grown) -> None:
            old = into.get(text, (-math.inf, -math.inf))
            into[text] = (log_sum(old[0], by_blank), log_sum(old[1], by_token))

        for text, (ending_blank, ending_token) in texts.items():
            for token in top(frame, candidates):
                chance = float(frame[token])
                whole = log_sum(ending_blank, ending_token)
                if token == blank:
                    add(text, whole + chance, -math.inf)
                elif text and text[-1] == token:
                    add(text, -math.inf, ending_token + chance)
                    add((*text, token), -math.inf, ending_blank + chance)
                else:
                    add((*text, token), -math.inf, whole + chance)
        possible = [text for text, chances in grown.items() if max(chances) > -math.inf]
        order = sorted(possible, key=lambda text: -log_sum(*grown[text]))
        texts = {text: grown[text] for text in order[:beams]}
    return [(text, log_sum(*chances)) for text, chances in texts.items()]


def log_sum(one: float, other: float) -> float:
    """log(exp(one) + exp(other))."""
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


# --- tokens one by one ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Tokens chosen so far, the sum of their log probabilities, the decoder's state behind them."""

    tokens: tuple[int, ...]
    total: float
    state: Any

    def score(self, penalty: float) -> float:
        """What hypotheses of any length are compared by."""
        return float(self.total / ((5 + len(self.tokens)) / 6) ** penalty)


Follow = Callable[[Hypothesis], tuple[Array, Any]]
"""From a hypothesis to the log probabilities of its next token and the state behind its last."""


def generate(
    step: Callable[[State, int, int], tuple[Array, State]], state: State, settings: Generation
) -> list[int]:
    """Tokens behind those of the start, without the end.

    step: (state, token, its place) to (logits [tokens], new state); a state that was given stays
    good, since several hypotheses may go on from it. Raises E628 for logits that are no numbers.
    """
    room = settings.longest - len(settings.start)
    for place, token in enumerate(settings.start[:-1]):
        _, state = step(state, token, place)
    last, place = settings.start[-1], len(settings.start) - 1
    if room < 1:
        return []
    search = _greedy if settings.beams == 1 else _beam

    def follow(hypothesis: Hypothesis) -> tuple[Array, Any]:
        token = hypothesis.tokens[-1] if hypothesis.tokens else last
        logits, after = step(hypothesis.state, token, place + len(hypothesis.tokens))
        return _chances(logits, settings, first=not hypothesis.tokens), after

    tokens = search(follow, Hypothesis((), 0.0, state), settings, room)
    return [token for token in tokens if token != settings.end]


def _chances(logits: Array, settings: Generation, *, first: bool) -> Array:
    """Float64 log probabilities of the next token. Raises E628."""
    wide = logits.astype(np.float64)
    barred = settings.suppressed + (settings.suppressed_first if first else ())
    wide[[token for token in barred if token < len(wide)]] = -math.inf
    if np.isnan(wide).any() or not np.isfinite(wide.max()):
        raise EdgepackError(
            "E628",
            "the decoder gave logits that are no numbers",
            help="Check the model with its golden cases; a precision with more range may help.",
        )
    return log_softmax(wide)


def _greedy(follow: Follow, start: Hypothesis, settings: Generation, room: int) -> tuple[int, ...]:
    """The likeliest token each time."""
    hypothesis = start
    while len(hypothesis.tokens) < room:
        chances, state = follow(hypothesis)
        token = top(chances, 1)[0]
        total = hypothesis.total + float(chances[token])
        hypothesis = Hypothesis((*hypothesis.tokens, token), total, state)
        if token == settings.end:
            break
    return hypothesis.tokens


def _beam(follow: Follow, start: Hypothesis, settings: Generation, room: int) -> tuple[int, ...]:
    """The tokens of the best hypothesis.

    Each that lives is followed by its `beams` + 1 likeliest tokens. Of all these the likeliest are
    looked at: an end among the first `beams` is put aside, and the first `beams` others live on. It is
    over when `beams` were put aside and none that lives scores better than the best of them.
    """
    alive, ended = [start], []
    width, penalty = settings.beams, settings.length_penalty
    for _ in range(room):
        grown = []
        for hypothesis in alive:
            chances, state = follow(hypothesis)
            for token in top(chances, width + 1):
                total = hypothesis.total + float(chances[token])
                grown.append(Hypothesis((*hypothesis.tokens, token), total, state))
        best = sorted(grown, key=lambda h: -h.total)[: 2 * width]
        ended += [h for h in best[:width] if h.tokens[-1] == settings.end]
        alive = [h for h in best if h.tokens[-1] != settings.end][:width]
        highest = max((h.score(penalty) for h in ended), default=-math.inf)
        if len(ended) >= width and all(h.score(penalty) <= highest for h in alive):
            alive = []
        if not alive:
            break
    return max([*ended, *alive], key=lambda h: h.score(penalty)).tokens


# --- streams -------------------------------------------------------------------------------------


class CarriedState:
    """What a streaming model carries from call to call.

    zeros: the first state, by name of the input.
    """

    def __init__(self, carried: Iterable[Carried], zeros: Mapping[str, Array]) -> None:
        self._carried = tuple(carried)
        self._state = {c.input: zeros[c.input] for c in self._carried}

    def inputs(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """All inputs of the next call: what is given and what was carried."""
        return {**given, **self._state}

    def take(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs that are results; the others are kept for the next call."""
        self._state = {c.input: outputs[c.output] for c in self._carried}
        kept = {c.output for c in self._carried}
        return {name: value for name, value in outputs.items() if name not in kept}


# --- speech --------------------------------------------------------------------------------------


def stretches(
    probabilities: Sequence[float], samples: int, speech: Speech
) -> list[tuple[int, int]]:
    """(first sample, sample behind the last) of each stretch of speech in a recording.

    probabilities: one per frame. samples: length of the recording.
    Source: Silero VAD 6, utils_vad.py, get_speech_timestamps, for the rules without longest_ms.
    """
    found = [
        (start, end)
        for start, end in _spoken(probabilities, samples, speech)
        if (end - start) * 1000 > speech.min_speech_ms * speech.sample_rate
    ]
    pad = speech.pad_ms * speech.sample_rate // 1000
    padded = []
    for place, (start, end) in enumerate(found):
        before = start - found[place - 1][1] if place else 2 * pad
        after = found[place + 1][0] - end if place + 1 < len(found) else 2 * pad
        first, last = start - min(pad, before // 2), end + min(pad, after // 2)
        padded.append((max(0, first), min(samples, last)))
    return padded


def _spoken(
    probabilities: Sequence[float], samples: int, speech: Speech
) -> list[tuple[int, int]]:  # fmt: skip
    """Stretches before short ones are dropped and the others padded."""
    silence = speech.min_silence_ms * speech.sample_rate
    longest = speech.longest_ms * speech.sample_rate
    found = []
    start = quiet = -1
    pause = (-1, -1)
    for number, probability in enumerate(probabilities):
        now = number * speech.frame
        if probability >= speech.threshold:
            if start < 0:
                start = now
            elif quiet >= 0:
                pause = (quiet, now)
            quiet = -1
        elif probability < speech.release and start >= 0:
            quiet = now if quiet < 0 else quiet
            if (now - quiet) * 1000 >= silence:
                found.append((start, quiet))
                start, quiet, pause = -1, -1, (-1, -1)
        if longest and start >= 0 and (now + speech.frame - start) * 1000 > longest and now > start:
            end, begin = (quiet, -1) if quiet >= 0 else pause if pause[0] >= 0 else (now, now)
            found.append((start, end))
            start, quiet, pause = begin, -1, (-1, -1)
    return [*found, (start, samples)] if start >= 0 else found
