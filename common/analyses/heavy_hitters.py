"""The commonest words of a column, found without a list of them: sketches of their beginnings, and a threshold."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.exact_sums import Integers, Total, counts
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from common.study.checks import between, sized

END = "\n"
"""Stands for the end of a word, so that a word and a longer one that begins with it are told apart."""
FALSE = 0.05
MOST_CANDIDATES = 100_000


@dataclass(frozen=True)
class HeavyHitters:
    """column: of words. least: only those of so many rows are told, and of as many more as noise makes doubtful.

    words: those to look for, where there is a list; then one round is enough. Else beginnings of words of `lengths`
    characters are looked for, each that is common made longer by those of `alphabet`; longer words are cut.
    buckets: of a sketch, which has `hashes` rows of them: fewer are less to send, and more words fall together.
    hashes: rows of the sketch; more of them tell words apart that fall together in one.
    """

    discloses: ClassVar[str] = (
        "How many rows have a word of each of some groups, into which hashing divides all words."
    )
    column: str
    least: int = 10
    words: tuple[str, ...] = ()
    alphabet: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
    lengths: tuple[int, ...] = (1, 2, 3, 4, 5)
    buckets: int = 4096
    hashes: int = 2

    def __post_init__(self) -> None:
        between("analysis", 2, 1 << 20, buckets=self.buckets)
        between("analysis", 1, 8, hashes=self.hashes)
        between("analysis", 1, 1 << 30, least=self.least)
        sized("analysis", MOST_CANDIDATES, words=max(len(self.words), 1), alphabet=len(self.alphabet))
        rising = all(one < other for one, other in zip(self.lengths, self.lengths[1:], strict=False))
        if not (self.words or (self.lengths and rising and self.lengths[0] > 0 and self.lengths[-1] <= 64)):
            raise StudyError(f"analysis.lengths must rise, from 1 to 64; they are {list(self.lengths)}.")

    @property
    def most_rounds(self) -> int:
        """One for each length."""
        return 1 if self.words else len(self.lengths)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round for each length: sketches are added up, and what is common in them is looked for."""
        found: dict[str, float] = dict.fromkeys(self.words, 0.0) if self.words else {"": 0.0}
        margin, before = 0.0, 0
        for length in (0,) if self.words else self.lengths:
            total = yield Query(
                {"sketch": counts(self.hashes, self.buckets, most_by_one=float(self.hashes))}, step=str(length)
            )
            candidates = list(found) if not length else self._longer(found, length - before)
            margin = total.noise_margin("sketch", 1 - FALSE / max(len(candidates), 1))
            found = self._common(total["sketch"], candidates, self.least + margin)
            before = length
        return self._answer(found, margin)

    def _longer(self, found: Mapping[str, float], by: int) -> list[str]:
        """Every beginning, with every continuation by so many characters; one that has ended stays as it is."""
        candidates = [word for word in found if word.endswith(END)]
        growing = [word for word in found if not word.endswith(END)]
        for _ in range(by):
            candidates += [word + END for word in growing if word]
            growing = [word + more for word in growing for more in dict.fromkeys(self.alphabet)]
            if len(growing) + len(candidates) > MOST_CANDIDATES:
                raise AnalysisError(
                    f"more than {MOST_CANDIDATES} beginnings of words would have to be tried: a larger `least`, a "
                    "smaller alphabet or more lengths are needed."
                )
        return candidates + growing

    def _common(self, sketch: NDArray[np.float64], candidates: Sequence[str], least: float) -> dict[str, float]:
        """Candidates all of whose buckets have so many rows, by the smallest: others can only add to a bucket."""
        found = {}
        for word in candidates:
            smallest = min(float(sketch[row, at]) for row, at in enumerate(self._buckets(word)))
            if smallest >= least:
                found[word] = smallest
        return found

    def _answer(self, found: Mapping[str, float], margin: float) -> Answer:
        ranked = sorted(((-rows, word.removesuffix(END)) for word, rows in found.items()))
        words, rows = [word for _, word in ranked], [-count for count, _ in ranked]
        told, threshold = [round(count) for count in rows], self.least + margin
        numbers: dict[str, Any] = {
            "words": [{"word": word, "rows": count} for word, count in zip(words, told, strict=True)],
            "threshold": threshold,
            "margin": margin,
        }
        said = f"{len(words)} words of {self.column!r} were found in {self.least} rows or more each."
        if not words and not self.words:
            said += f" Words with other characters than {self.alphabet!r} are not looked for."
        if margin:
            said += f" Noise of up to {margin:.0f} was added: no word of fewer than {threshold:.0f} is told."
        table = Table(f"Commonest {self.column}", ("word", "rows"), tuple(zip(words, told, strict=True)))
        low, high = (tuple(max(0.0, count + off) for count in rows) for off in (-margin, margin))
        series = Series("rows", tuple(words), tuple(rows), low, high)
        return Answer(numbers, (table,), (Figure("bars", table.title, self.column, "rows", (series,)),), (said,))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """One for every row and hash, in the bucket of its word's beginning; rows without a word add nothing."""
        length = int(query.step)
        sketch = np.zeros((self.hashes, self.buckets), np.int64)
        words, rows = np.unique(records.words(self.column), return_counts=True)
        for word, count in zip(words.tolist(), rows.tolist(), strict=True):
            if word:
                for row, at in enumerate(self._buckets(self._beginning(word, length))):
                    sketch[row, at] += count
        return {"sketch": sketch}

    def _beginning(self, word: str, length: int) -> str:
        """As candidates have it: a word that is shorter than asked for carries its end."""
        return word if not length else word[:length] if len(word) >= length else word + END

    def _buckets(self, word: str) -> tuple[int, ...]:
        return _hashed(word, self.hashes, self.buckets)


@lru_cache(maxsize=1 << 17)
def _hashed(word: str, hashes: int, buckets: int) -> tuple[int, ...]:
    """One bucket in each row, by SHA-256; a remainder of 2**64 is even enough."""
    return tuple(int.from_bytes(sha256(f"{row}:{word}".encode()).digest()[:8]) % buckets for row in range(hashes))


analysis: type[Analysis] = HeavyHitters
