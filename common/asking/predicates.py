"""Which rows a question is of: `age >= 60 and (sex = f or grade in (2, 3)) and not smoker is missing`.

A test compares a column with a number, a word or several: `<`, `<=`, `>`, `>=`, `=`, `!=`, `in (...)`,
`not in (...)`, `is missing`, `is not missing`. Tests are joined by `not`, `and`, `or`, in this order, and brackets. A
name or a word with blanks or marks in it stands in quotation marks.

A missing value is neither above nor below, neither equal nor different: `not age >= 60` is `age < 60`, and whoever
has no age is in neither (Kleene's logic, as in SQL). So `not` is moved to the tests, where it turns them round, and
what is left are tests that a row meets or not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from math import inf, isfinite
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.asking.records import Records
from common.data.names import in_one_form
from common.errors import StudyError
from common.study.spelling import unknown

LONGEST, MOST_TESTS, DEEPEST = 1000, 64, 24
EXAMPLE = '"age >= 60 and sex = f"'
Order = Literal["<", "<=", ">", ">="]
Rows = NDArray[np.bool_]
_TURNED: Mapping[Order, Order] = {"<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_TOKENS = re.compile(
    r"""\s*(?:(?P<quoted>"[^"\n]*"|'[^'\n]*')|(?P<mark><=|>=|!=|<>|==|[=<>(),]|[≤≥≠])|"""
    r"""(?P<word>[+-]?[\w.%°µ]+(?:[-/][\w.%°µ]+)*))"""
)
_PLAIN = re.compile(r"[^\W\d][\w.]*")
_WORDS = frozenset({"and", "or", "not", "in", "is", "missing"})
_MARKS = {"≤": "<=", "≥": ">=", "≠": "!=", "<>": "!=", "==": "="}


@dataclass(frozen=True)
class Beyond:
    """A number above or below a bound."""

    column: str
    order: Order
    bound: float

    @property
    def turned(self) -> Predicate:
        """What it is not, of rows that have a value."""
        return replace(self, order=_TURNED[self.order])

    @property
    def text(self) -> str:
        """As it would be typed."""
        return f"{_name(self.column)} {self.order} {_number(self.bound)}"

    def rows(self, records: Records) -> Rows:
        """Those that meet it. Raises StudyError for an unknown column, or one of words."""
        with np.errstate(invalid="ignore"):
            return self.holds(records.numbers(self.column))

    def holds(self, values: NDArray[np.float64]) -> Rows:
        """NaN meets none."""
        met: Mapping[Order, Callable[..., Rows]] = {
            "<": np.less,
            "<=": np.less_equal,
            ">": np.greater,
            ">=": np.greater_equal,
        }
        return met[self.order](values, self.bound)


@dataclass(frozen=True)
class OneOf:
    """A value that is among several, or is there and among none of them. values: as words, each once, sorted."""

    column: str
    values: tuple[str, ...]
    among: bool = True

    @property
    def turned(self) -> Predicate:
        """What it is not, of rows that have a value."""
        return replace(self, among=not self.among)

    @property
    def text(self) -> str:
        """As it would be typed."""
        values = list(map(_word, self.values))
        if len(values) == 1:
            return f"{_name(self.column)} {'=' if self.among else '!='} {values[0]}"
        return f"{_name(self.column)} {'in' if self.among else 'not in'} ({', '.join(values)})"

    @property
    def numbers(self) -> tuple[float, ...] | None:
        """The values where all of them are numbers."""
        found = tuple(value for word in self.values if (value := as_number(word)) is not None)
        return found if len(found) == len(self.values) else None

    def rows(self, records: Records) -> Rows:
        """Those that meet it. Raises StudyError for an unknown column, or words where it holds numbers."""
        words = records.words(self.column)
        if records.columns[self.column].dtype != np.float64:
            return np.asarray(np.isin(words, self.values, invert=not self.among) & (words != ""), np.bool_)
        if self.numbers is None:
            raise StudyError(f"column {self.column!r} holds numbers, and is compared with {self.text!r}.")
        values = records.numbers(self.column)
        return np.asarray(np.isin(values, self.numbers, invert=not self.among) & ~np.isnan(values), np.bool_)


@dataclass(frozen=True)
class Missing:
    """Nothing was written down; `among` False: something was."""

    column: str
    among: bool = True

    @property
    def turned(self) -> Predicate:
        """What it is not."""
        return replace(self, among=not self.among)

    @property
    def text(self) -> str:
        """As it would be typed."""
        return f"{_name(self.column)} is {'' if self.among else 'not '}missing"

    def rows(self, records: Records) -> Rows:
        """Those that meet it. Raises StudyError for an unknown column."""
        return np.asarray((records.words(self.column) == "") == self.among, np.bool_)


@dataclass(frozen=True)
class Joined:
    """All or any of several; all of none is every row, any of none is no row."""

    how: Literal["and", "or"]
    parts: tuple[Predicate, ...] = ()

    @property
    def turned(self) -> Predicate:
        """What it is not, of rows that have the values."""
        return joined("or" if self.how == "and" else "and", [part.turned for part in self.parts])

    @property
    def text(self) -> str:
        """As it would be typed; parts in one order."""
        inside = [f"({part.text})" if isinstance(part, Joined) else part.text for part in self.parts]
        return f" {self.how} ".join(inside)

    def rows(self, records: Records) -> Rows:
        """Those that meet it."""
        found = [part.rows(records) for part in self.parts]
        start = np.full(len(records), self.how == "and")
        return reduce(np.logical_and if self.how == "and" else np.logical_or, found, start)


Predicate = Beyond | OneOf | Missing | Joined
EVERY = Joined("and")
"""Every row."""


def joined(how: Literal["and", "or"], parts: Iterable[Predicate]) -> Predicate:
    """In one form: nothing inside itself, nothing twice, in the order of its text; a single part is itself."""
    flat: dict[str, Predicate] = {}
    for part in parts:
        inner = part.parts if isinstance(part, Joined) and part.how == how else (part,)
        if isinstance(part, Joined) and part.how != how and not part.parts:
            return part
        flat |= {one.text: one for one in inner}
    kept = tuple(flat[text] for text in sorted(flat))
    return kept[0] if len(kept) == 1 else Joined(how, kept)


def parse(text: str) -> Predicate:
    """A predicate from words. Raises StudyError that says where it cannot be read."""
    if len(text) > LONGEST:
        raise StudyError(f"a condition has {LONGEST} characters at most; this one has {len(text)}.")
    reader = _Reader(text, list(_tokens(text)))
    found = reader.either()
    reader.demand_end()
    return found


def parse_again(text: str) -> Predicate:
    """What a predicate's own text says, of several conditions together and so of any length."""
    if not text:
        return EVERY
    reader = _Reader(text, list(_tokens(text)), is_bounded=False)
    found = reader.either()
    reader.demand_end()
    return found


def parse_all(texts: Iterable[str], levels: Mapping[str, tuple[str, ...]] | None = None) -> Predicate:
    """Rows that meet all of several predicates; every row where there are none. levels: see `checked`."""
    return checked(joined("and", map(parse, texts)), levels or {})


def checked(predicate: Predicate, levels: Mapping[str, tuple[str, ...]]) -> Predicate:
    """With words as the study writes them, whatever their capitals.

    levels: words that a column may hold, where the study says. Raises UnknownNameError for another word, with the
    nearest one, and StudyError where such words are compared by size.
    """
    if isinstance(predicate, Joined):
        return joined(predicate.how, [checked(part, levels) for part in predicate.parts])
    if isinstance(predicate, Missing) or predicate.column not in levels:
        return predicate
    known = levels[predicate.column]
    if isinstance(predicate, Beyond):
        if all(as_number(word) is not None for word in known):
            return predicate
        raise StudyError(
            f"column {predicate.column!r} holds words ({', '.join(known)}), which are not compared by size: "
            f"{predicate.text!r}."
        )
    return replace(
        predicate, values=tuple(sorted({_level(predicate.column, word, known) for word in predicate.values}))
    )


def tests_of(predicate: Predicate) -> Iterator[Beyond | OneOf | Missing]:
    """All its tests."""
    if not isinstance(predicate, Joined):
        yield predicate
        return
    for part in predicate.parts:
        yield from tests_of(part)


def columns_of(predicate: Predicate) -> tuple[str, ...]:
    """Columns that it reads, sorted."""
    return tuple(sorted({test.column for test in tests_of(predicate)}))


def as_number(word: str) -> float | None:
    """The number that a word is; None for one that is none, or not finite."""
    try:
        value = float(word) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", word, re.ASCII) else inf
    except (ValueError, OverflowError):
        return None
    return value if isfinite(value) else None


def _level(column: str, word: str, known: tuple[str, ...]) -> str:
    alike = [level for level in known if level.casefold() == word.casefold()]
    if word in known:
        return word
    if len(alike) != 1:
        raise unknown(f"word of column {column!r}", word, known)
    return alike[0]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """(kind, text): a quoted word, a mark, or a word."""
    at = 0
    while text[at:].strip():
        found = _TOKENS.match(text, at)
        if found is None or found.lastgroup is None:
            raise StudyError(f"{text!r} cannot be read from {text[at:].strip()[:20]!r} on; write it as in {EXAMPLE}.")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


@dataclass
class _Reader:
    """Recursive descent; nothing that is read is ever run."""

    text: str
    tokens: list[tuple[str, str]]
    at: int = 0
    tests: int = 0
    depth: int = 0
    is_bounded: bool = True

    def either(self) -> Predicate:
        parts = [self._both()]
        while self._takes("or"):
            parts.append(self._both())
        return joined("or", parts)

    def demand_end(self) -> None:
        if self.at < len(self.tokens):
            raise self._fault("`and`, `or` or the end")

    def _both(self) -> Predicate:
        parts = [self._one()]
        while self._takes("and"):
            parts.append(self._one())
        return joined("and", parts)

    def _one(self) -> Predicate:
        self.depth += 1
        if self.depth > DEEPEST:
            raise StudyError(f"a condition has {DEEPEST} brackets and `not` in one another at most.")
        try:
            if self._takes("not"):
                return self._one().turned
            if self._takes("("):
                inside = self.either()
                self._demand(")")
                return inside
            return self._test()
        finally:
            self.depth -= 1

    def _test(self) -> Predicate:
        self.tests += 1
        if self.is_bounded and self.tests > MOST_TESTS:
            raise StudyError(f"a condition has {MOST_TESTS} tests at most.")
        if self._takes("missing"):
            return Missing(self._value("a column"))
        column = self._value("a column")
        if self._takes("is"):
            there = self._takes("not")
            self._demand("missing")
            return Missing(column, not there)
        if self._takes("not"):
            self._demand("in")
            return self._several(column).turned
        if self._takes("in"):
            return self._several(column)
        mark = self._mark()
        value = self._value("a number or a word")
        if mark in ("=", "!="):
            return OneOf(column, (_plain(value),), mark == "=")
        bound = as_number(value)
        if bound is None:
            raise StudyError(f"{self.text!r}: {mark} needs a number; {value!r} is none.")
        return Beyond(column, mark, bound)  # type: ignore[arg-type]

    def _several(self, column: str) -> Predicate:
        self._demand("(")
        values = [self._value("a number or a word")]
        while self._takes(","):
            values.append(self._value("a number or a word"))
        self._demand(")")
        return OneOf(column, tuple(sorted({_plain(value) for value in values})))

    def _mark(self) -> str:
        kind, token = self._next("<, <=, >, >=, =, !=, in or is")
        token = _MARKS.get(token, token)
        if kind != "mark" or token in "(),":
            self.at -= 1
            raise self._fault("<, <=, >, >=, =, !=, in or is")
        return token

    def _value(self, what: str) -> str:
        kind, token = self._next(what)
        if kind == "quoted":
            return in_one_form(token[1:-1])
        if kind != "word" or token.casefold() in _WORDS:
            self.at -= 1
            raise self._fault(what)
        return in_one_form(token)

    def _takes(self, word: str) -> bool:
        if self.at < len(self.tokens) and self._is(self.tokens[self.at], word):
            self.at += 1
            return True
        return False

    def _demand(self, word: str) -> None:
        if not self._takes(word):
            raise self._fault(f"`{word}`")

    def _next(self, what: str) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise self._fault(what)
        self.at += 1
        return self.tokens[self.at - 1]

    def _fault(self, what: str) -> StudyError:
        found = repr(self.tokens[self.at][1]) if self.at < len(self.tokens) else "the end"
        return StudyError(f"{self.text!r}: {what} is needed where {found} is; write it as in {EXAMPLE}.")

    @staticmethod
    def _is(token: tuple[str, str], word: str) -> bool:
        return token[0] != "quoted" and token[1].casefold() == word


def _plain(value: str) -> str:
    """A number in its one way."""
    number = as_number(value)
    return value if number is None else _number(number)


def _number(value: float) -> str:
    """In the fewest digits that are this number and no neighbour of it: a condition's text is what it is known by."""
    text = short if float(short := f"{value:.15g}") == value else repr(value)
    return text.replace("e+", "e")


def _name(column: str) -> str:
    return column if _PLAIN.fullmatch(column) and column.casefold() not in _WORDS else _quoted(column)


def _word(word: str) -> str:
    plain = _PLAIN.fullmatch(word) or as_number(word) is not None
    return word if plain and word.casefold() not in _WORDS else _quoted(word)


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'
