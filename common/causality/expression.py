"""What an identified effect is made of: probabilities of the observed, their products, sums and quotients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Probability:
    """P(of | given), of the distribution that was observed."""

    of: tuple[str, ...]
    given: tuple[str, ...] = ()

    @cached_property
    def free(self) -> frozenset[str]:
        """Variables on whose values it depends."""
        return frozenset(self.of + self.given)


@dataclass(frozen=True)
class Product:
    """Of no factors: 1."""

    factors: tuple[Expression, ...]

    @cached_property
    def free(self) -> frozenset[str]:
        """Variables on whose values it depends."""
        return frozenset[str]().union(*(factor.free for factor in self.factors))


@dataclass(frozen=True)
class Sum:
    """Over all values of some variables, which are bound by it."""

    over: tuple[str, ...]
    of: Expression

    @cached_property
    def free(self) -> frozenset[str]:
        """Variables on whose values it depends."""
        return self.of.free - frozenset(self.over)


@dataclass(frozen=True)
class Quotient:
    """One divided by another."""

    numerator: Expression
    denominator: Expression

    @cached_property
    def free(self) -> frozenset[str]:
        """Variables on whose values it depends."""
        return self.numerator.free | self.denominator.free


Expression = Probability | Product | Sum | Quotient
ONE = Product(())


def product(factors: Iterable[Expression]) -> Expression:
    """Flat, and a single factor as it is."""
    flat: list[Expression] = []
    for factor in factors:
        flat += _factors(factor)
    return flat[0] if len(flat) == 1 else Product(tuple(flat))


def summed(over: Iterable[str], of: Expression) -> Expression:
    """The sum over variables, each of whose probabilities is 1 where nothing else depends on it."""
    factors = _factors(of)
    left = list(over)
    while (found := _summing_to_one(left, factors)) is not None:
        name, place = found
        left.remove(name)
        rest = _without(factors[place], name)
        factors[place : place + 1] = [] if rest is None else [rest]
    if not left:
        return product(factors)
    if len(factors) == 1 and isinstance(factors[0], Sum):
        return Sum((*left, *factors[0].over), factors[0].of)
    bound = frozenset(left)
    outside = [factor for factor in factors if not factor.free & bound]
    inside = product(factor for factor in factors if factor.free & bound)
    return product([*outside, Sum(tuple(left), inside)])


def quotient(numerator: Expression, denominator: Expression) -> Expression:
    """A conditional probability where it is one; factors that stand above and below are left out."""
    if isinstance(numerator, Probability) and isinstance(denominator, Probability):
        inside = set(denominator.of) <= set(numerator.of)
        if inside and numerator.given == denominator.given:
            of = tuple(name for name in numerator.of if name not in denominator.of)
            return Probability(of, (*denominator.of, *denominator.given)) if of else ONE
    above, below = _factors(numerator), list[Expression]()
    for factor in _factors(denominator):
        if factor in above:
            above.remove(factor)
        else:
            below.append(factor)
    return Quotient(product(above), product(below)) if below else product(above)


def rebuilt(expression: Expression, change: Callable[[Probability], Expression]) -> Expression:
    """The same with every probability changed, and what became simpler by it."""
    match expression:
        case Probability():
            return change(expression)
        case Product(factors):
            return product(rebuilt(factor, change) for factor in factors)
        case Sum(over, of):
            return summed(over, rebuilt(of, change))
        case Quotient(numerator, denominator):
            return quotient(rebuilt(numerator, change), rebuilt(denominator, change))


def _factors(expression: Expression) -> list[Expression]:
    return list(expression.factors) if isinstance(expression, Product) else [expression]


def _summing_to_one(over: list[str], factors: list[Expression]) -> tuple[str, int] | None:
    """A variable that stands in one factor alone, and there as what the probability is of."""
    for name in reversed(over):
        places = [place for place, factor in enumerate(factors) if name in factor.free]
        if len(places) == 1:
            factor = factors[places[0]]
            if isinstance(factor, Probability) and name in factor.of:
                return name, places[0]
    return None


def _without(factor: Expression, name: str) -> Expression | None:
    assert isinstance(factor, Probability)
    of = tuple(one for one in factor.of if one != name)
    return Probability(of, factor.given) if of else None
