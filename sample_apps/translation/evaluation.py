"""Measures the translator on strings of components that it was not trained on.

    python evaluation.py WORK [--weights FILE] [--only N]

chrF (chrF2) and BLEU by sacrebleu for greedy and beam search, the share that equals the reference,
and the same for the copied source, which is what a translator that does nothing would get.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from model import WEIGHTS, Translator, make_translator
from pairs import load
from sacrebleu.metrics import BLEU, CHRF
from tokens import LANGUAGES, source_tokens, text_of
from translate import beam, greedy

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 32


def translated(
    model: Translator, search: Callable[..., list[list[int]]], texts: list[str], language: str
) -> list[str]:
    """The translations in the order of the texts; texts of like length are searched together."""
    sources = [source_tokens(text, language) for text in texts]
    order = sorted(range(len(texts)), key=lambda n: len(sources[n]))
    found = [""] * len(texts)
    for at in range(0, len(order), BATCH):
        numbers = order[at : at + BATCH]
        for number, tokens in zip(
            numbers, search(model, [sources[n] for n in numbers]), strict=True
        ):
            found[number] = text_of(tokens)
    return found


def measured(found: list[str], wanted: list[str]) -> dict[str, float]:
    """Scores of 0 to 100 over all strings: chrF, BLEU, and the percentage exactly right."""
    exact = sum(f == w for f, w in zip(found, wanted, strict=True)) / len(wanted)
    return {
        "chrF": round(CHRF().corpus_score(found, [wanted]).score, 1),
        "BLEU": round(BLEU().corpus_score(found, [wanted]).score, 1),
        "exact": round(100 * exact, 1),
    }


def main() -> None:
    """Prints a table, and writes the figures and every translation into WORK."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description="Measures the translator.")
    parser.add_argument("work", type=Path)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--only", type=int, help="as many strings per language")
    given = parser.parse_args()
    model = make_translator(given.weights)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    lines: list[str] = []
    for language in LANGUAGES:
        rows = [p for p in load(given.work / "test.tsv") if p.language == language][: given.only]
        texts, wanted = [p.english for p in rows], [p.text for p in rows]
        by_way = {"copied": texts}
        for way, search in (("greedy", greedy), ("beam", beam)):
            by_way[way] = translated(model, search, texts, language)
        figures[language] = {way: measured(found, wanted) for way, found in by_way.items()}
        for way, figure in figures[language].items():
            told = " | ".join(f"{value:.1f}" for value in figure.values())
            sys.stdout.write(f"| {language} | {len(rows)} | {way} | {told} |\n")
        sys.stdout.flush()
        lines += [
            "\t".join((language, *row)) for row in zip(texts, wanted, by_way["beam"], strict=True)
        ]
    (given.work / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    (given.work / "translations.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
