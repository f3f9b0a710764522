"""What came of each inherited test, in words: which law broke, what it is for, and how to mend the file."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill, indent
from traceback import extract_tb
from typing import Any, Literal

import pytest

WIDTH = 116
MOST_LINES = 8
Outcome = Literal["kept", "BROKEN", "not tried"]


@dataclass(frozen=True)
class Verdict:
    """kind: of the entry. law: the test's name as a sentence. said: of what broke, or why it was not tried."""

    kind: str
    law: str
    outcome: Outcome
    said: str = ""
    meaning: str = ""
    mending: str = ""

    def lines(self) -> Iterator[str]:
        """As it is shown."""
        yield f"  {self.outcome:9}  {self.law}"
        if self.outcome == "not tried" and self.said:
            yield _paragraph(f"Because: {self.said}")
        if self.outcome == "BROKEN":
            yield from (f"{' ' * 13}{line}" for line in self.said.splitlines())
            yield _paragraph(f"Why it matters: {self.meaning}")
            if self.mending:
                yield _paragraph(f"How to mend it: {self.mending}")


@dataclass
class Verdicts:
    """A plug-in of pytest that notes every test's outcome. file: whose lines errors are told of."""

    file: Path
    found: list[Verdict] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Function, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Once for each of a test's phases."""
        report = yield
        if report.when == "call" or report.outcome != "passed":
            self.found.append(self._verdict(item, call, report))
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Where no test could even be found."""
        if report.failed:
            self.failures.append(str(report.longrepr))

    def _verdict(self, item: pytest.Function, call: pytest.CallInfo[None], report: pytest.TestReport) -> Verdict:
        kind, law = str(getattr(item.cls, "word", "")), law_of(item)
        if report.outcome == "passed":
            return Verdict(kind, law, "kept")
        said = "" if call.excinfo is None else self._said(call.excinfo.value)
        if report.outcome == "skipped":
            return Verdict(kind, law, "not tried", said)
        meaning, _, mending = " ".join((item.function.__doc__ or "").split()).partition("Mend: ")
        return Verdict(kind, law, "BROKEN", said, meaning.strip(), mending.strip())

    def _said(self, error: BaseException) -> str:
        lines = str(error).strip().splitlines() or ["nothing was said"]
        lines = lines[:MOST_LINES] + ["..."] * (len(lines) > MOST_LINES)
        if isinstance(error, AssertionError | pytest.fail.Exception | pytest.skip.Exception):
            # What pytest adds to a message that says all: the expression that was false.
            return "\n".join(line for line in lines if not line.startswith(("assert ", " +")) or line == lines[0])
        own = [one for one in extract_tb(error.__traceback__) if Path(one.filename) == self.file]
        where = f" (line {own[-1].lineno} of {self.file.name})" if own else ""
        return f"{type(error).__name__}: {chr(10).join(lines)}{where}"


def law_of(item: Any) -> str:
    """`test_the_sum_is_true[1]` as "The sum is true, 1"."""
    name, bracket, case = str(item.name).partition("[")
    words = name.removeprefix("test_").replace("_", " ")
    return f"{words[:1].upper()}{words[1:]}{', ' if bracket else ''}{case.removesuffix(']')}"


def shown(file: str, verdicts: list[Verdict]) -> Iterator[str]:
    """All lines: kind by kind, and the numbers."""
    for kind in dict.fromkeys(one.kind for one in verdicts):
        yield f"{file}: {kind}"
        for one in verdicts:
            if one.kind == kind:
                yield from one.lines()
    counts = [(word, sum(one.outcome == word for one in verdicts)) for word in ("kept", "BROKEN", "not tried")]
    yield f"Of {len(verdicts)} laws {', '.join(f'{count} {word.lower()}' for word, count in counts)}."


def _paragraph(text: str) -> str:
    return indent(fill(text, WIDTH - 13), " " * 13)
