"""What training sees of a pair differs from epoch to epoch; this makes the differences.

Placeholders are filled, sometimes with a name or number to be copied, sometimes with a short string
whose translation is known, so that the model learns to put a part into a whole. A share of the
sources is written as people type: in lower case, without the full stop, with curly apostrophes.
Some strings are joined to two sentences.
"""

from __future__ import annotations

import random
from collections import defaultdict

from pairs import PLACEHOLDER, Pair
from tokens import LANGUAGES

KNOWN_PART = 0.5
"""Share of the placeholders that are filled with a string and its translation."""
LOWER, BARE, CURLY, JOINED = 0.1, 0.05, 0.5, 0.06
"""Shares of the strings that are changed so; curly: of the sources that hold an apostrophe."""
MOST_WORDS, MOST_CHARACTERS = 3, 28
"""The longest string to fill a placeholder with."""
NUMERIC = ("index", "number", "count", "id", "port", "value", "phase", "limit", "code", "version",
           "min", "max", "days", "hours", "minutes", "seconds", "size", "percent")  # fmt: skip
SYLLABLES = ("ba", "ko", "mi", "ter", "lux", "sen", "ri", "dor", "va", "nex", "to", "li", "zen",
             "que", "ma", "phi", "ro", "star", "wi", "ja", "on", "el", "tra", "ny")  # fmt: skip

Triple = tuple[str, str, str]
"""Language, English, translation."""


class Fillers:
    """Short strings with their translations, and made-up names, to fill placeholders with."""

    def __init__(self, pairs: list[Pair]) -> None:
        self.known: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for pair in pairs:
            words = pair.english.split()
            if (
                len(words) <= MOST_WORDS
                and max(len(pair.english), len(pair.text)) <= MOST_CHARACTERS
                and not PLACEHOLDER.search(pair.english)
                and pair.english[-1].isalnum()
                and pair.text[-1].isalnum()
            ):
                self.known[pair.language].append((pair.english, pair.text))

    def draw(self, name: str, language: str, dice: random.Random) -> tuple[str, str]:
        """What stands for a placeholder in English and in the translation."""
        if any(part in NUMERIC for part in name.strip("{}").lower().split("_")):
            number = str(dice.randrange(10 ** dice.randint(1, 3)))
            return number, number
        if dice.random() < KNOWN_PART:
            return dice.choice(self.known[language])
        made = made_up(dice)
        return made, made


def made_up(dice: random.Random) -> str:
    """A name that nobody translates: Mirodor, KO-12, sensen.lux, 192.168.4.20."""
    kind = dice.randrange(6)
    if kind == 0:
        return ".".join(str(dice.randrange(256)) for _ in range(4))
    if kind == 1:
        return f"{dice.choice(SYLLABLES)[:2].upper()}-{dice.randrange(1000)}"
    name = "".join(dice.choices(SYLLABLES, k=dice.randint(2, 3)))
    second = "".join(dice.choices(SYLLABLES, k=2))
    return (name.capitalize(), f"{name.capitalize()} {dice.randrange(100)}",
            f"{name}.{second}", f"{name.capitalize()} {second.capitalize()}")[kind - 2]  # fmt: skip


def filled(pair: Pair, fillers: Fillers, dice: random.Random) -> Triple:
    """The pair with the same things in the same placeholders of both strings."""
    english, text = pair.english, pair.text
    for name in dict.fromkeys(PLACEHOLDER.findall(english)):
        ours, other = fillers.draw(name, pair.language, dice)
        english, text = english.replace(name, ours), text.replace(name, other)
    return pair.language, english, text


def typed(english: str, dice: random.Random) -> str:
    """The source as somebody might type it."""
    if dice.random() < LOWER:
        english = english.lower()
    if dice.random() < BARE and len(english) > 1:
        english = english.removesuffix(".")
    if "'" in english and dice.random() < CURLY:
        english = english.replace("'", "\u2019")
    return english


def varied(pairs: list[Pair], fillers: Fillers, seed: int) -> list[Triple]:
    """All pairs as one epoch sees them, and some of them also joined to two sentences."""
    dice = random.Random(seed)  # noqa: S311
    triples = [filled(pair, fillers, dice) for pair in pairs]
    joined = []
    for language in LANGUAGES:
        ours = [t for t in triples if t[0] == language and t[1][-1] in ".?!" and t[2][-1] in ".?!"]
        for _ in range(round(JOINED * len(ours))):
            (_, english, text), (_, second, other) = dice.sample(ours, 2)
            joined.append((language, f"{english} {second}", f"{text} {other}"))
    return [(language, typed(english, dice), text) for language, english, text in triples + joined]
