"""Expressions as people read them: in Unicode, and in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from common.causality.expression import Expression, Probability, Product, Quotient, Sum

Shown = Mapping[str, str]
"""How each variable is written here: one that a sum binds is primed where its name is another's already."""


@dataclass(frozen=True)
class _Form:
    """The signs of one way of writing."""

    bar: str
    factor_gap: str
    fraction: tuple[str, str, str]
    sum: tuple[str, str]
    opened: tuple[str, str]
    prime: str


_UNICODE = _Form(" | ", " ", ("[", "] / [", "]"), ("Σ_", " "), ("[", "]"), "′")
_LATEX = _Form(r" \mid ", r"\, ", (r"\frac{", "}{", "}"), (r"\sum_{", "} "), (r"\left[", r"\right]"), "'")


def as_text(expression: Expression) -> str:
    """Such as `Σ_z P(y | x, z) P(z)`."""
    return _written(expression, {name: name for name in expression.free}, _UNICODE)


def as_latex(expression: Expression) -> str:
    r"""Such as `\sum_{z} P(y \mid x, z)\, P(z)`."""
    return _written(expression, {name: _latex_name(name) for name in expression.free}, _LATEX)


def question_as_text(treatments: tuple[str, ...], outcomes: tuple[str, ...], given: tuple[str, ...]) -> str:
    """Such as `P(y | do(x), z)`."""
    behind = ([f"do({', '.join(treatments)})"] if treatments else []) + list(given)
    return f"P({', '.join(outcomes)}{' | ' if behind else ''}{', '.join(behind)})"


def question_as_latex(treatments: tuple[str, ...], outcomes: tuple[str, ...], given: tuple[str, ...]) -> str:
    r"""Such as `P(y \mid \mathrm{do}(x), z)`."""
    of, setting, known = (", ".join(map(_latex_name, names)) for names in (outcomes, treatments, given))
    behind = ", ".join(part for part in (rf"\mathrm{{do}}({setting})" if setting else "", known) if part)
    return f"P({of}{_LATEX.bar if behind else ''}{behind})"


def _latex_name(name: str) -> str:
    if re.fullmatch(r"[a-zA-Z]\d*", name):
        return name if len(name) == 1 else f"{name[0]}_{{{name[1:]}}}"
    return r"\mathrm{" + name.replace("_", r"\_").replace(" ", r"\ ") + "}"


def _written(expression: Expression, shown: Shown, form: _Form, factor: bool = False) -> str:
    match expression:
        case Probability(of, given):
            behind = form.bar + ", ".join(shown[name] for name in given) if given else ""
            return f"P({', '.join(shown[name] for name in of)}{behind})"
        case Product(()):
            return "1"
        case Product(factors):
            return form.factor_gap.join(
                _written(one, shown, form, factor=place + 1 < len(factors))
                for place, one in enumerate(sorted(factors, key=lambda one: isinstance(one, Sum)))
            )
        case Quotient(numerator, denominator):
            begin, middle, end = form.fraction
            return f"{begin}{_written(numerator, shown, form)}{middle}{_written(denominator, shown, form)}{end}"
        case Sum(over, of):
            return _written_sum(over, of, shown, form, factor)


def _written_sum(over: tuple[str, ...], of: Expression, shown: Shown, form: _Form, factor: bool) -> str:
    """factor: something stands behind it, so that where it ends must be seen."""
    inside, taken = dict(shown), set(shown.values())
    for name in over:
        written = _latex_name(name) if form is _LATEX else name
        while written in taken:
            written += form.prime
        inside[name] = written
        taken.add(written)
    names = ",".join(inside[name] for name in over)
    if form is _UNICODE and len(over) > 1:
        names = f"{{{names}}}"
    text = f"{form.sum[0]}{names}{form.sum[1]}{_written(of, inside, form)}"
    return f"{form.opened[0]}{text}{form.opened[1]}" if factor else text
