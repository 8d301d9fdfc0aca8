"""Sentence pairs for training, out of the interface strings of Home Assistant (Apache-2.0).

The strings lie inside the wheel that PyPI serves: English and three translations under one key.
They are cleaned, parted by component into train, dev and test, and what dev or test shares with
train, word for word or nearly so, is taken out of dev and test.

    python pairs.py WORK [--wheel FILE]        writes WORK/{train,dev,test}.tsv, sentences.tsv
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import random
import re
import subprocess
import sys
import unicodedata
import zipfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokens import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SOURCE = "homeassistant==2026.11.0"
SHA256 = "7ca5fbde9dea879ac7723949fc84347aac5182e6309c357b2e4973fd391b00f7"
SEED = 20261122
SHARES = {"test": 0.06, "dev": 0.03}
"""Which part of the components each set takes; the rest is for training."""
LONGEST = 300
"""Characters of the longest string worth keeping: 64 tokens hold about 200."""
NEAR = 0.7
"""From this Jaccard similarity of character 4-grams on, two strings are near-copies."""

SENTENCES = Path(__file__).with_name("sentences.tsv")
"""A few strings of two sets for calibration and comparison, which is all that a build needs."""

PLACEHOLDER = re.compile(r"\{[^{}]+\}")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_REFUSED = re.compile(r"https?:|www\.|<|\[%|\||\\")
_FORMATTING = re.compile(r"\*\*|`|\u200b|\u200e|\ufe0f|\u00ad")
_SENTENCE_END = re.compile(r'(?<=[.!?:]) (?=[A-ZÀ-Þ¿¡"„«{])')
_BULLET = re.compile(r"^(?:[-*•#]+|\d+\.) ")
_BEYOND_LATIN = frozenset("–—…“”„•→₂³²€")  # noqa: RUF001
_KEPT_BELOW = 0x180
"""Latin, Latin-1 and Latin Extended-A; beyond that only the characters above."""

log = logging.getLogger("pairs")


@dataclass(frozen=True, slots=True)
class Pair:
    """One English string and what it is in one language."""

    component: str
    english: str
    language: str
    text: str


def fetch(folder: Path) -> Path:
    """The wheel, downloaded by pip and checked by its digest.

    Python 3.11 cannot install it, so its declared Python version is ignored; nothing is installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder / "wheel.txt"
    wanted.write_text(f"{SOURCE} --hash=sha256:{SHA256}\n", encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
         "--ignore-requires-python", "--require-hashes", "-r", str(wanted), "-d", str(folder)],
        check=True,
    )  # fmt: skip
    return next(folder.glob("homeassistant-*.whl"))


def read(wheel: Path) -> Iterator[tuple[str, str, str, str]]:
    """Component, English, language, translation for every string of the wheel, as they are.

    Raises ValueError if the file is not the wheel that the figures were measured with.
    """
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise ValueError(f"{wheel.name} has the digest {found}, not {SHA256}")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for name in sorted(names):
            match = re.fullmatch(r"(homeassistant/.*?([^/]+)/translations/)en\.json", name)
            if match is None:
                continue
            english = dict(flat(json.loads(archive.read(name))))
            for language in LANGUAGES:
                other = f"{match[1]}{language}.json"
                if other not in names:
                    continue
                for key, text in flat(json.loads(archive.read(other))):
                    if key in english:
                        yield match[2], english[key], language, text


def flat(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Every string in nested objects with its path."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}/{key}")
        elif isinstance(value, str):
            yield f"{path}/{key}", value


def cleaned(text: str) -> str | None:
    """One line without markup and with plain spaces and apostrophes; None if it is of no use."""
    text = _LINK.sub(r"\1", unicodedata.normalize("NFC", text))
    text = _FORMATTING.sub("", text).replace("\u2019", "'").replace("\u2018", "'")
    text = _BULLET.sub("", " ".join(text.split()))
    usable = (
        0 < len(text) <= LONGEST
        and not _REFUSED.search(text)
        and all(ord(c) < _KEPT_BELOW or c in _BEYOND_LATIN for c in text)
        and any(c.isalpha() for c in PLACEHOLDER.sub("", text))
    )
    return text if usable else None


def parted(english: str, text: str) -> Iterator[tuple[str, str]]:
    """The strings line by line, and also sentence by sentence, where both have equally many."""
    lines = [line for line in english.split("\n") if line.strip()]
    theirs = [line for line in text.split("\n") if line.strip()]
    if len(lines) != len(theirs):
        return
    for ours, other in zip(lines, theirs, strict=True):
        yield ours, other
        sentences = _SENTENCE_END.split(ours.strip())
        others = _SENTENCE_END.split(other.strip())
        if 1 < len(sentences) == len(others):
            yield from zip(sentences, others, strict=True)


def pairs(strings: Iterable[tuple[str, str, str, str]]) -> list[Pair]:
    """Cleaned pairs, each once per component, in the order they came.

    A pair is dropped if its placeholders differ, or if one side is three times the other.
    """
    found: dict[Pair, None] = {}
    for component, whole, language, translation in strings:
        for ours, other in parted(whole, translation):
            english, text = cleaned(ours), cleaned(other)
            if english is None or text is None:
                continue
            same = sorted(PLACEHOLDER.findall(english)) == sorted(PLACEHOLDER.findall(text))
            ratio = (len(text) + 10) / (len(english) + 10)
            if same and 1 / 3 < ratio < 3:  # noqa: PLR2004
                found[Pair(component, english, language, text)] = None
    return list(found)


def split(found: list[Pair]) -> dict[str, list[Pair]]:
    """train, dev and test by component; dev and test hold only what train does not have.

    In dev and test every English string stands once per language, without placeholders, and with
    a translation that differs from it.
    """
    components = sorted({pair.component for pair in found})
    random.Random(SEED).shuffle(components)  # noqa: S311
    place, start = dict.fromkeys(components, "train"), 0
    for name, share in SHARES.items():
        end = start + round(share * len(components))
        place |= dict.fromkeys(components[start:end], name)
        start = end
    sets: dict[str, list[Pair]] = {"train": [], "dev": [], "test": []}
    for pair in found:
        sets[place[pair.component]].append(pair)
    sets["train"] = list({(p.english, p.language, p.text): p for p in sets["train"]}.values())
    known = Known(sets["train"])
    for name in SHARES:
        before = {p.english for p in sets[name]}
        sets[name] = unseen(sets[name], known)
        log.info("%s: %d English strings, %d of them unseen", name, len(before),
                 len({p.english for p in sets[name]}))  # fmt: skip
    return sets


def unseen(candidates: list[Pair], known: Known) -> list[Pair]:
    """The pairs whose English is no near-copy and whose translations are all new."""
    rows: dict[str, dict[str, Pair]] = defaultdict(dict)
    seen_as: dict[str, str] = {}
    for pair in candidates:
        first = seen_as.setdefault(essence(pair.english), pair.english)
        if first == pair.english:
            rows[pair.english].setdefault(pair.language, pair)
    kept: list[Pair] = []
    for english, row in rows.items():
        fresh = not any(essence(p.text) in known.texts[p.language] for p in row.values())
        if fresh and not PLACEHOLDER.search(english) and not known.near(english):
            kept += [p for p in row.values() if essence(p.text) != essence(english)]
    return kept


class Known:
    """What training has seen, to be asked whether a string is new."""

    def __init__(self, train: list[Pair]) -> None:
        self.texts: dict[str, set[str]] = defaultdict(set)
        for pair in train:
            self.texts[pair.language].add(essence(pair.text))
        self.english = sorted({essence(pair.english) for pair in train})
        postings: dict[str, list[int]] = defaultdict(list)
        for number, text in enumerate(self.english):
            for gram in grams(text):
                postings[gram].append(number)
        self._postings = {gram: np.array(numbers) for gram, numbers in postings.items()}
        self._sizes = np.array([len(grams(text)) for text in self.english])

    def near(self, english: str) -> bool:
        """Whether training has this string, or one with NEAR of its 4-grams."""
        ours = grams(essence(english))
        lists = [self._postings[gram] for gram in ours if gram in self._postings]
        if not lists:
            return not ours
        shared = np.bincount(np.concatenate(lists), minlength=len(self._sizes))
        return bool((shared / (self._sizes + len(ours) - shared) >= NEAR).any())


def essence(text: str) -> str:
    """What counts when strings are compared: words without case and punctuation, digits alike."""
    words = re.sub(r"[\W_]+", " ", re.sub(r"\d+", "0", text.casefold()))
    return words.strip()


def grams(text: str) -> set[str]:
    """The character 4-grams of a string between two spaces."""
    padded = f" {text} "
    return {padded[i : i + 4] for i in range(max(1, len(padded) - 3))} if text else set()


def dump(sets: dict[str, list[Pair]], folder: Path) -> None:
    """Writes each set as lines of component, language, English, translation."""
    for name, rows in sets.items():
        lines = (f"{p.component}\t{p.language}\t{p.english}\t{p.text}\n" for p in rows)
        (folder / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
        log.info("%s: %s", name, dict(Counter(p.language for p in rows)))


def chosen(sets: dict[str, list[Pair]], counts: dict[str, int]) -> Iterator[str]:
    """Lines of set, English and its translations in all languages, drawn at random from each set."""
    for name, count in counts.items():
        rows: dict[str, dict[str, str]] = defaultdict(dict)
        for pair in sets[name]:
            if not PLACEHOLDER.search(pair.english):
                rows[pair.english].setdefault(pair.language, pair.text)
        whole = [english for english, row in rows.items() if len(row) == len(LANGUAGES)]
        for english in random.Random(SEED).sample(whole, count):  # noqa: S311
            yield "\t".join((name, english, *(rows[english][lang] for lang in LANGUAGES))) + "\n"


def load(path: Path) -> list[Pair]:
    """The pairs that `dump` wrote."""
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [Pair(component, english, lang, text) for component, lang, english, text in rows]


def main() -> None:
    """Fetches, cleans, parts and writes."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description="Makes the sets of sentence pairs.")
    parser.add_argument("work", type=Path)
    parser.add_argument("--wheel", type=Path, help="the wheel, if it is already here")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    wheel = given.wheel or fetch(given.work / "wheel")
    sets = split(pairs(read(wheel)))
    dump(sets, given.work)
    lines = "".join(chosen(sets, {"train": 64, "test": 200}))
    SENTENCES.write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
