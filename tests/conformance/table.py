"""What the replayed tests come to: a judgement of each suite, and tables by suite and by operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from records import Expected, Record, reason_of
from suites import Suite, function_of

from edgepack_targets.coreml.emulator import coverage


@dataclass(frozen=True, slots=True)
class Result:
    """A suite's records. tests: how many there are in all. uncollected: modules without tests, and why.

    whole: whether every test was chosen because it predicts.
    """

    suite: Suite
    tests: int
    uncollected: dict[str, str]
    records: tuple[Record, ...]
    expected: tuple[Expected, ...]
    whole: bool = False

    @property
    def counted(self) -> list[Record]:
        """Those that say something about the emulator."""
        return [record for record in self.records if record.counts]

    @property
    def missed(self) -> list[Record]:
        """Those that count and did not pass."""
        return [record for record in self.records if record.missed]

    @property
    def unexplained(self) -> list[Record]:
        """Misses that nothing in expected.toml covers."""
        return [record for record in self.missed if reason_of(record, self.expected) is None]

    @property
    def share(self) -> float:
        """The share of those that count that passed."""
        counted = len(self.counted)
        return (counted - len(self.missed)) / counted if counted else 0.0

    @property
    def meets_bar(self) -> bool:
        """Whether enough passed, every miss has its reason, and none fell silent that ought to predict."""
        if self.whole and len(self.counted) < self.tests:
            return False
        if self.suite.bar is None:
            return True
        return self.share >= self.suite.bar and not self.unexplained


def summary(results: Sequence[Result]) -> str:
    """A few lines for a terminal; unexplained failures by name."""
    lines = []
    for result in results:
        lines.append(
            f"{result.suite.name:12} {len(result.counted)} predicted, "
            f"{len(result.counted) - len(result.missed)} passed ({result.share:.2%}), "
            f"{len(result.missed) - len(result.unexplained)} expected failures, "
            f"{len(result.unexplained)} others: {'ok' if result.meets_bar else 'MISSES ITS BAR'}"
        )
        groups: dict[str, list[Record]] = {}
        for record in result.unexplained:
            groups.setdefault(function_of(record.id), []).append(record)
        for function, found in sorted(groups.items(), key=lambda pair: -len(pair[1])):
            lines += [
                f"  {len(found)} of {function}",
                f"      {found[0].reason} ({found[0].where})",
            ]
    return "\n".join(lines)


def markdown(results: Sequence[Result]) -> str:
    """The tables as Markdown."""
    parts = [
        _HEAD,
        _by_suite(results),
        _reasons(results),
        _uncounted(results),
        _by_operator(results),
    ]
    return "\n".join(parts)


_HEAD = """# Conformance of the Core ML emulator

Written by `python tests/conformance/run.py --write tests/conformance/RESULTS.md`. coremltools' own tests, as
they ship inside its wheel, run on Linux with the emulator in place of Core ML. A test counts if it asked for
a prediction and is not one that Apple marks as failing; what never predicts proves nothing and is left out.
"""


def _by_suite(results: Sequence[Result]) -> str:
    rows = [
        "## By suite\n",
        "| suite | what | tests | run | predicted | passed | expected failures | other failures | share | bar |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in results:
        explained = len(r.missed) - len(r.unexplained)
        bar = "none" if r.suite.bar is None else f"{r.suite.bar:.1%}"
        rows.append(
            f"| {r.suite.name} | {r.suite.title} | {r.tests} | {len(r.records)} | {len(r.counted)} "
            f"| {len(r.counted) - len(r.missed)} | {explained} | {len(r.unexplained)} | {r.share:.2%} | {bar} |"
        )
    return "\n".join(rows) + "\n"


def _reasons(results: Sequence[Result]) -> str:
    rows = ["## Failures\n", "| tests | suite | kind | reason |", "|---:|---|---|---|"]
    for result in results:
        tally: Counter[tuple[str, str]] = Counter()
        for record in result.missed:
            entry = reason_of(record, result.expected)
            told = (entry.kind, entry.reason) if entry else ("unexplained", _cell(record.reason))
            tally[told] += 1
        rows += [
            f"| {count} | {result.suite.name} | {kind} | {reason} |"
            for (kind, reason), count in tally.most_common()
        ]
    return "\n".join(rows) + "\n"


def _uncounted(results: Sequence[Result]) -> str:
    """Why tests do not count, by suite: at most the commonest reasons."""
    rows = [
        "## Not counted\n",
        "| suite | tests | outcome | commonest reason |",
        "|---|---:|---|---|",
    ]
    for result in results:
        by_outcome: dict[str, list[Record]] = {}
        for record in result.records:
            if not record.counts:
                name = (
                    f"{record.outcome}, without a prediction"
                    if not record.predictions
                    else record.outcome
                )
                by_outcome.setdefault(name, []).append(record)
        for outcome, found in sorted(by_outcome.items()):
            reasons = Counter(_cell(r.reason) for r in found if r.reason).most_common(1)
            often = f"{reasons[0][0]} ({reasons[0][1]})" if reasons else ""
            rows.append(f"| {result.suite.name} | {len(found)} | {outcome} | {often} |")
        rows += [
            f"| {result.suite.name} | all | not imported: {module} | {_cell(why)} |"
            for module, why in sorted(result.uncollected.items())
        ]
    return "\n".join(rows) + "\n"


def _by_operator(results: Sequence[Result]) -> str:
    """Tests that ran an operator, and those that missed, in all suites together."""
    passed: Counter[str] = Counter()
    explained: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for result in results:
        unexplained = {record.id for record in result.unexplained}
        for record in result.counted:
            tally = passed
            if record.missed:
                tally = other if record.id in unexplained else explained
            tally.update(record.operators)
    since = {
        name: ios
        for ios in reversed(coverage.SYSTEMS)
        for name in coverage.existing(ios) - {"const"}
    }
    rows = [
        "## By operator\n",
        "Tests whose programs hold the operator. A failure counts for every operator of its program.\n",
        "| operator | since iOS | passed | expected failures | other failures |",
        "|---|---:|---:|---:|---:|",
    ]
    rows += [
        f"| {name} | {since.get(name, '')} | {passed[name]} | {explained[name] or ''} | {other[name] or ''} |"
        for name in sorted({*since, *passed, *explained, *other})
    ]
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "¦").replace("\n", " ")[:160]
