"""Measures the translator on strings of components that it was not trained on.

    python evaluation.py WORK [--weights FILE] [--only N] [--readme FILE]

chrF (chrF2) and BLEU by sacrebleu for greedy and beam search, the share that equals the reference,
and the same for the copied source, which is what a translator that does nothing would get.
"""

from __future__ import annotations

import argparse
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
MARKS = "<!-- figures -->", "<!-- end of figures -->"


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


def table(figures: dict[str, dict[str, dict[str, float]]], counts: dict[str, int]) -> str:
    """The figures as Markdown."""
    lines = [
        "| language | strings | search | chrF | BLEU | exactly right |",
        "|---|---|---|---|---|---|",
    ]
    for language, ways in figures.items():
        for way, f in ways.items():
            cells = f"{f['chrF']:.1f} | {f['BLEU']:.1f} | {f['exact']:.1f} %"
            lines.append(f"| {language} | {counts[language]} | {way} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Prints a table, and writes every translation into WORK."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description="Measures the translator.")
    parser.add_argument("work", type=Path)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--only", type=int, help="as many strings per language")
    parser.add_argument("--readme", type=Path, help="put the table between its two marks there")
    given = parser.parse_args()
    model = make_translator(given.weights)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    counts: dict[str, int] = {}
    lines: list[str] = []
    for language in LANGUAGES:
        rows = [p for p in load(given.work / "test.tsv") if p.language == language][: given.only]
        texts, wanted = [p.english for p in rows], [p.text for p in rows]
        ways = {"copied": texts}
        for way, search in (("greedy", greedy), ("beam", beam)):
            ways[way] = translated(model, search, texts, language)
        figures[language] = {way: measured(found, wanted) for way, found in ways.items()}
        counts[language] = len(rows)
        every = zip(texts, wanted, ways["greedy"], ways["beam"], strict=True)
        lines += ["\t".join((language, *row)) + "\n" for row in every]
    (given.work / "translations.tsv").write_text("".join(lines), encoding="utf-8")
    made = table(figures, counts)
    sys.stdout.write(made)
    if given.readme is not None:
        before, _, after = given.readme.read_text(encoding="utf-8").partition(MARKS[0])
        _, _, after = after.partition(MARKS[1])
        given.readme.write_text(f"{before}{MARKS[0]}\n{made}{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
