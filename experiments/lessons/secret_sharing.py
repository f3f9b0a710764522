"""Sums by additive secret sharing: a number is split into random shares, and only all shares together tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from secrets import randbelow

from common.errors import StudyError
from experiments.lessons.party import Party

MODULUS = 2**32
RandomBelow = Callable[[int], int]


def shares_of(number: int, parts: int, random_below: RandomBelow = randbelow) -> list[int]:
    """`parts` numbers that add up to it modulo 2**32; any of them but one are uniformly random."""
    drawn = [random_below(MODULUS) for _ in range(parts - 1)]
    return [*drawn, (number - sum(drawn)) % MODULUS]


def shared_sum(numbers: Mapping[str, int], random_below: RandomBelow = randbelow) -> tuple[int, list[Party]]:
    """The sum, and everybody with what they saw. Raises StudyError for fewer than two, or numbers that do not fit."""
    names = list(numbers)
    if len(names) < 2:
        raise StudyError(
            "a sum hides nothing of one party: two are needed, and three, that two cannot tell the third's."
        )
    if not all(0 <= number < MODULUS // len(names) for number in numbers.values()):
        raise StudyError(f"numbers must be 0 or more and below {MODULUS // len(names)}, so that their sum fits.")
    parties = {name: Party(name) for name in names}
    got: dict[str, list[int]] = {name: [] for name in names}
    for name, number in numbers.items():
        parties[name].sees("its own number", number)
        for other, share in zip(names, shares_of(number, len(names), random_below), strict=True):
            got[other].append(share)
            parties[other].sees("a share it keeps" if other == name else f"a share from {name}", share)
    sums = {name: sum(shares) % MODULUS for name, shares in got.items()}
    total = sum(sums.values()) % MODULUS
    for name, party in parties.items():
        party.sees("the sum of its shares, which it tells all", sums[name])
        for other in names:
            if other != name:
                party.sees(f"the sum that {other} tells", sums[other])
        party.sees("all those sums together, modulo 2**32", total)
    return total, list(parties.values())
