"""Translates with the PyTorch model, the way the apps do it with what was converted from it.

python translate.py es "The battery is low"
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from model import DECODER_LAYERS, HEADS, WIDTH, Translator, make_translator
from tokens import END, LANGUAGE_IDS, LONGEST, PAD, START, UNKNOWN, source_tokens, text_of
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

BEAMS = 4
PENALTY = 0.6
"""A translation's score is its log probability over ((5 + tokens) / 6) ** PENALTY.

Source: Wu et al., Google's Neural Machine Translation System, arXiv:1609.08144, section 7.
"""

BARRED = [PAD, UNKNOWN, START, *LANGUAGE_IDS.values()]
"""Tokens that no translation holds."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Tokens from start on, and the sum of their log probabilities."""

    tokens: tuple[int, ...]
    total: float

    @property
    def score(self) -> float:
        """What hypotheses of any length are compared by."""
        length_penalty: float = ((5 + len(self.tokens) - 1) / 6) ** PENALTY
        return self.total / length_penalty


def encoder_inputs(tokens: list[int]) -> tuple[Tensor, Tensor]:
    """Tokens int64 [1, 64] and mask float32 [1, 64] of one source."""
    padded = torch.tensor([tokens + [PAD] * (LONGEST - len(tokens))])
    return padded, (torch.arange(LONGEST) < len(tokens)).float()[None]


def steps(model: Translator, source: list[int]) -> Iterator[tuple[dict[str, Tensor], int]]:
    """Each step of the greedy translation with the two parts as they are exported.

    What the decoder took by name, and the token it chose; the last is END, or as many as there may
    be were made.
    """
    with torch.inference_mode():
        tokens, mask = encoder_inputs(source)
        cross = model.encoder(tokens, mask)
        keys = values = torch.zeros(DECODER_LAYERS, HEADS, LONGEST, WIDTH // HEADS)
        token = START
        for position in range(LONGEST - 1):
            given = {
                "token": torch.tensor([token]), "position": torch.tensor([position]),
                "keys": keys, "values": values,
                "cross_keys": cross.cross_keys, "cross_values": cross.cross_values, "mask": mask,
            }  # fmt: skip
            logits, keys, values = model.decoder(**given)
            token = int(chances(logits).argmax())
            yield given, token
            if token == END:
                return


@torch.no_grad()
def greedy(model: Translator, sources: list[list[int]]) -> list[list[int]]:
    """The likeliest token at each step, for a batch of sources."""
    tokens, mask = batch_of(sources)
    read = model.encoder.read(tokens, mask)
    made = torch.full((len(sources), 1), START)
    done = torch.zeros(len(sources), dtype=torch.bool)
    while made.shape[1] < LONGEST and not done.all():
        states = model.decoder.follow(made, *read, mask)
        best = chances(model.decoder.logits(states[:, -1])).argmax(-1)
        best[done] = PAD
        made = torch.cat([made, best[:, None]], 1)
        done |= best == END
    return [row.tolist() for row in made]


@torch.no_grad()
def beam(model: Translator, sources: list[list[int]], width: int = BEAMS) -> list[list[int]]:
    """The best translation of each source by beam search.

    At every step each hypothesis is followed by its likeliest tokens, and the `width` likeliest of
    all live on; those that end are put aside. A source is done when `width` have ended and none
    that lives scores better than the best of them, or at the longest translation.
    """
    tokens, mask = batch_of([source for source in sources for _ in range(width)])
    keys, values = model.encoder.read(tokens, mask)
    alive = [[Hypothesis((START,), 0.0)] for _ in sources]
    ended: list[list[Hypothesis]] = [[] for _ in sources]
    for _ in range(LONGEST - 1):
        rows = [(n, place, h) for n, group in enumerate(alive) for place, h in enumerate(group)]
        if not rows:
            break
        index = torch.tensor([n * width + place for n, place, _ in rows])
        prefix = torch.tensor([h.tokens for _, _, h in rows])
        states = model.decoder.follow(
            prefix, [k[index] for k in keys], [v[index] for v in values], mask[index]
        )
        found = chances(model.decoder.logits(states[:, -1])).topk(width + 1)
        grown: list[list[Hypothesis]] = [[] for _ in sources]
        for (n, _, h), scores, best in zip(
            rows, found.values.tolist(), found.indices.tolist(), strict=True
        ):
            grown[n] += [
                Hypothesis((*h.tokens, token), h.total + score)
                for token, score in zip(best, scores, strict=True)
            ]
        alive = [lived(group, ended[n], width) for n, group in enumerate(grown)]
    chosen = [max([*e, *a], key=lambda h: h.score) for e, a in zip(ended, alive, strict=True)]
    return [list(hypothesis.tokens) for hypothesis in chosen]


def chances(logits: Tensor) -> Tensor:
    """Log probabilities of the next token."""
    logits = logits.clone()
    logits[:, BARRED] = -torch.inf
    return torch.log_softmax(logits, -1)


def lived(grown: list[Hypothesis], ended: list[Hypothesis], width: int) -> list[Hypothesis]:
    """The hypotheses that live on; those that end among the best go to `ended`."""
    best = sorted(grown, key=lambda h: -h.total)[: 2 * width]
    ended += [h for h in best[:width] if h.tokens[-1] == END]
    alive = [h for h in best if h.tokens[-1] != END][:width]
    if len(ended) >= width and alive:
        top = max(h.score for h in ended)
        if all(h.score <= top for h in alive):
            return []
    return alive


def batch_of(sources: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Tokens int64 and mask float32, [batch, longest] each."""
    longest = max(map(len, sources))
    tokens = torch.tensor([source + [PAD] * (longest - len(source)) for source in sources])
    return tokens, (tokens != PAD).float()


def main() -> None:
    """Translates its arguments, a language and texts."""
    model = make_translator()
    language, *texts = sys.argv[1:]
    for text in texts:
        (best,) = beam(model, [source_tokens(text, language)])
        sys.stdout.write(f"{text_of(best)}\n")


if __name__ == "__main__":
    main()
