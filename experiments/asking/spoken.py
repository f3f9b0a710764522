"""What somebody typed after `wardround ask`, or gave to `wardround.ask`, as a question."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_origin, get_type_hints

from common.asking.question import BESIDE, Question, grouped_by, named_fields
from common.errors import StudyError
from common.study.catalogue import ANALYSES
from common.study.options import Entry, options_of
from common.study.plugins import Reference

BY, WHERE = "by", "where"


def question_of(
    words: Sequence[str],
    by: str = "",
    where: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
    epsilon: float = 0.0,
    delta: float = 0.0,
) -> Question:
    """`mean age by site where age > 50` is the mean of column age, in groups of column site, of older patients.

    words: an analysis's name, what it is of, and, as somebody would say it, "by" columns and
    "where" a condition. epsilon, delta: as in Question.
    Raises StudyError where they name no analysis, or say too little or too much for it.
    """
    said, conditions = _cut(list(words), WHERE)
    said, groups = _cut(said, BY)
    if groups and by:
        raise StudyError(f"groups are named once: after 'by', {' '.join(groups)!r}, or with --by, {by!r}.")
    if not said:
        raise StudyError("a question begins with an analysis's name; `wardround list analyses` has them.")
    name, left = _named(said)
    given = {**_placed(name, left), **_lists(name, options or {})}
    for reserved in BESIDE.keys() & given.keys():
        raise StudyError(f"option {reserved!r} of a question is said by itself: --{reserved}, not as --option.")
    every = (*where, *([" ".join(conditions)] if conditions else ()))
    given, beside = grouped_by(name, given, by or ",".join(groups))
    _demand_words(name, given)
    question = Question(Entry(name, given), tuple(every), beside, "", epsilon, delta)
    question.build()
    return question


def option_of(text: str) -> tuple[str, Any]:
    """`bins=20`, as for --set: a TOML value, or a bare word. Raises StudyError."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise StudyError(f"--option takes name=value, such as bins=20; it was given {text!r}.")
    return name.strip(), _value(value.strip())


def _cut(words: list[str], at: str) -> tuple[list[str], list[str]]:
    """What stands before the last such word, and after it."""
    places = [place for place, word in enumerate(words) if word == at and 0 < place < len(words) - 1]
    return (words[: places[-1]], words[places[-1] + 1 :]) if places else (words, [])


def _named(words: list[str]) -> tuple[str, list[str]]:
    """The analysis that the first words name, however they are joined, and the words after it."""
    if Reference.of(words[0]) is not None:
        return words[0], words[1:]
    known = {name.replace("_", ""): name for name in ANALYSES.names()}
    for many in range(len(words), 0, -1):
        name = known.get("".join(words[:many]).replace("_", "").replace("-", "").lower())
        if name is not None:
            return name, words[many:]
    ANALYSES.load(words[0])  # an entry point; or raises, naming the nearest
    return words[0], words[1:]


def _placed(name: str, words: list[str]) -> dict[str, Any]:
    """Words in the places of options without a default, in order; the last takes all that are left where it lists."""
    cls = ANALYSES.load(name)
    fields, hints = named_fields(cls), get_type_hints(cls)
    kinds = {option: hints[field.name] for option, field in options_of(cls).items()}
    given: dict[str, Any] = {}
    left = list(words)
    for option in fields:
        if not left:
            break
        if get_origin(kinds[option]) is tuple:
            given[option], left = [_as(word, kinds[option].__args__[0]) for word in left], []
        else:
            given[option] = _as(left.pop(0), kinds[option])
    if left:
        takes = " ".join(fields) or "nothing"
        raise StudyError(
            f"analysis {name!r} takes {takes} after its name; {' '.join(left)!r} is too much. Its other options are "
            f"said with --option: {', '.join(sorted(set(kinds) - set(fields))) or 'it has none'}."
        )
    return given


def _demand_words(name: str, given: Mapping[str, Any]) -> None:
    takes = named_fields(ANALYSES.load(name))
    if lacking := [one for one in takes if one not in given]:
        raise StudyError(
            f"analysis {name!r} takes {' '.join(takes)} after its name, and {' and '.join(lacking)} is not said: "
            f"wardround ask STUDY {name} {' '.join(takes).upper()}"
        )


def _lists(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as given, one word alone in a list where several may stand, and a number that is a word as a word."""
    hints = get_type_hints(ANALYSES.load(name))
    return {one: _fitting(value, hints.get(one)) for one, value in options.items()}


def _fitting(value: Any, kind: Any) -> Any:
    if kind is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return [value] if get_origin(kind) is tuple and isinstance(value, str) else value


def _as(word: str, kind: Any) -> Any:
    return word if kind is str else _value(word)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
