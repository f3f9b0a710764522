"""The role of an analysis: a question to hospitals that is not a model. Entries live in `common/analyses/`."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from common.asking.answer import Answer
from common.asking.exact_sums import Integers, Part, Total
from common.asking.records import Records

Told = NDArray[np.float64] | tuple[str, ...]
IMPOSSIBLE = (ArithmeticError, ValueError, LookupError, TypeError)
"""What an analysis may raise of totals that no rows add up to, as where a hospital lied."""


@dataclass(frozen=True)
class Query:
    """What one round asks of every hospital, all of them the same.

    parts: what is to be added up, by name. tells: what it takes to compute it, such as coefficients, edges of bins
    or names. step: which of an analysis's rounds it is, where they differ in kind. either: parts of which one row
    changes one only, such as those who are known and those who are missing: noise for one is noise for all of them.
    """

    parts: Mapping[str, Part]
    tells: Mapping[str, Told] = field(default_factory=dict)
    step: str = ""
    either: tuple[str, ...] = ()


@dataclass(frozen=True)
class Public:
    """What everybody knows before the first question.

    sites: the hospitals' names, sorted. levels: the words that a column may hold, in order, by its name, where the
    study or the source says; a category that nobody named is counted as missing, never learned from patients.
    """

    sites: tuple[str, ...] = ()
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Analysis(Protocol):
    """A frozen dataclass of options, both halves in one file.

    Its fields without a default are what stands after its name on the command line, in order: words, the last of them
    a tuple where it takes several, such as `linear cholesterol age sex`. What it can have beside these members is in
    `common.asking.abilities`.
    """

    discloses: ClassVar[str]
    """What its sums and answer tell of patients, in a sentence for whoever permits it."""

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """The server's half: yields one query a round, is sent its sum, and returns the answer.

        It sees sums over all hospitals alone, and depends on nothing else: the same sums give the same queries.

        Args:
            public: what all know beforehand, such as columns and their levels.

        Yields:
            The query of the next round.

        Returns:
            The answer.

        Raises:
            AnalysisError: in words for a reader where the sums have no answer, such as of nobody.
        """
        ...

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """The hospital's half: this hospital's part of every sum of the query, and nothing else.

        A person's share must depend on that person's rows and the query alone, so that hospitals' parts add up to
        what all rows give.

        Args:
            records: this hospital's rows.
            query: of this round.

        Returns:
            By the query's names: counts as arrays of NumPy's whole numbers, real numbers as `exact_sum` gives them.
        """
        ...
