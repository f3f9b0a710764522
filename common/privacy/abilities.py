"""What a mechanism has beyond its role: members that are optional and declared. One that is absent is not possible.

The program asks for them here, and never for the name or the class of a mechanism.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from common.errors import StudyError

if TYPE_CHECKING:  # a study is read without NumPy
    from common.privacy.mechanism import AtServer, Facts, Mechanism, ServerState
    from common.privacy.noise_source import NoiseSource
    from common.privacy.sampling import PoissonSteps
    from common.sums.update import Update, Vector


class MechanismAbilities(Protocol):
    """The optional members. No mechanism has all of them."""

    secret_rounding: ClassVar[bool]
    """Whether the promise counts on nobody knowing how values are rounded to whole numbers before they are added up.

    Where it does not, real hospitals round by draws from the study's seed, as simulated ones do, and models stay
    comparable; where it does, by the system's. A mechanism that does not say counts on it.
    """
    repeatable: ClassVar[bool]
    """Whether one hospital's update, under its own noise, may be sent again as it is, in whatever sum.

    It is then kept for an order that comes twice. One that does not say trains and is charged anew.
    """
    weighs_alike: ClassVar[bool]
    """Whether every hospital's update has the weight 1, whatever it holds."""
    epsilon: float | None
    """Of all rounds together at `delta`, where the study says it."""
    noise_multiplier: float | None
    """Noise over sensitivity, where the study says it."""
    clip_norm: float
    """The most that one unit adds, in L2."""
    spare_rounds: int
    """How many rounds may be asked for again, and are paid for."""
    colluding: int
    """Hospitals whose own noise the coordinator may know."""
    grid: float
    """A power of two: every value that leaves a hospital is a whole multiple of it."""
    statistics: tuple[str, ...]
    """Names of the means that go beside an update, and that the promise covers."""

    def poisson(self, facts: Facts) -> PoissonSteps:
        """How a hospital draws its units in a round, where it draws Poisson samples."""
        ...

    def noised(self, total: Vector, facts: Facts, source: NoiseSource) -> Vector:
        """(P,) float32: the clipped sum of one step as it leaves, where each step has noise of its own."""
        ...

    def value_room(self, facts: Facts, parameters: int, most: int) -> int:
        """To how many whole numbers of `grid` a sum is cut, before its noise, where a value may have `most`.

        Raises StudyError, with settings that fit, where there is no room for one unit.
        """
        ...

    def clip_norms(self, number: int) -> tuple[float, float]:
        """The smallest and the largest clip norm that round `number` can ask for: a hospital refuses any other."""
        ...

    def asked_clip_norm(self, kept: ServerState) -> float:
        """The clip norm that hospitals are asked for next. kept: by `release`."""
        ...

    def release(self, total: Update, kept: ServerState, at: AtServer) -> tuple[Update, ServerState]:
        """Server half: what of a round's sum goes on to the strategy and the model, and what is kept.

        total: over all hospitals of the round, float64, with `statistics` beside it. kept: as the round before left
        it, {} at first.
        """
        ...


NAMES = tuple(name for name in (*MechanismAbilities.__annotations__, *vars(MechanismAbilities)) if name[0] != "_")
TOGETHER = (
    ("clip_norms", "asked_clip_norm"),
    ("asked_clip_norm", "clip_norms"),
    ("asked_clip_norm", "release"),
    ("grid", "value_room"),
    ("value_room", "grid"),
)
"""The first is of no use without the second."""
OF_PLACES = {"server": ("release",), "shares": ("grid", "value_room")}
"""What a mechanism must have whose noise goes in there: a share of noise hides nothing but in sums of whole steps."""
FLAGS = ("secret_rounding", "repeatable", "weighs_alike")


def can(mechanism: Mechanism, member: str) -> bool:
    """Whether a mechanism has an optional member."""
    assert member in NAMES, member
    return getattr(mechanism, member, None) is not None


def abilities(mechanism: Mechanism) -> MechanismAbilities:
    """The mechanism, whose optional members are asked for only after `can`."""
    return cast(MechanismAbilities, mechanism)


def rounds_in_secret(mechanism: Mechanism) -> bool:
    """Whether rounding must be secret; so it is taken where nothing is said."""
    return bool(getattr(mechanism, "secret_rounding", True))


def is_repeatable(mechanism: Mechanism) -> bool:
    """Whether an update may be sent again as it is."""
    return bool(getattr(mechanism, "repeatable", False))


def may_be_asked_again(mechanism: Mechanism) -> bool:
    """Whether a round may be repeated in a wider range, by what its sum tells of values that were cut.

    Each hospital's own noise must cover that, and the update that comes again must be the same.
    """
    return mechanism.place == "hospital" and is_repeatable(mechanism)


def weighs_alike(mechanism: Mechanism) -> bool:
    """Whether every update has the weight 1."""
    return bool(getattr(mechanism, "weighs_alike", False))


def promised_epsilon(mechanism: Mechanism) -> float | None:
    """Of all rounds; None where the study fixes the noise instead, or the mechanism has options of its own."""
    return _number(mechanism, "epsilon")


def fixed_noise(mechanism: Mechanism) -> float | None:
    """The noise multiplier that the study says."""
    return _number(mechanism, "noise_multiplier")


def clip_norm_of(mechanism: Mechanism) -> float | None:
    """The most that one unit adds."""
    return _number(mechanism, "clip_norm")


def spare_rounds(mechanism: Mechanism) -> int:
    """How many rounds may be asked for again."""
    return int(getattr(mechanism, "spare_rounds", 0))


def colluding(mechanism: Mechanism) -> int:
    """How many hospitals' noise may be known."""
    return int(getattr(mechanism, "colluding", 0))


def grid_of(mechanism: Mechanism) -> float | None:
    """What all values are whole multiples of."""
    return _number(mechanism, "grid")


def statistics_of(mechanism: Mechanism) -> tuple[str, ...]:
    """Names of what goes beside an update; () for most."""
    return tuple(getattr(mechanism, "statistics", ()))


def no_noisy_steps(mechanism: Mechanism | None) -> str:
    """Why a hospital's private training cannot be done again step by step; empty where it can."""
    if mechanism is None:
        return "no differential privacy was promised"
    if mechanism.place != "hospital":
        return "its noise is not enough in single hospitals, and only what they do alone can be done again"
    lacking = [one for one in ("poisson", "noised", "clip_norm") if not can(mechanism, one)]
    return f"its mechanism does not say how a step is made ({', '.join(lacking)})" if lacking else ""


def check_declared(mechanism: Mechanism, name: str) -> None:
    """Raise StudyError, naming the member, where a mechanism's optional members do not go together."""
    needed = [*TOGETHER, *((f"place = {mechanism.place!r}", one) for one in OF_PLACES.get(mechanism.place, ()))]
    for member, other in needed:
        if (member not in NAMES or can(mechanism, member)) and not can(mechanism, other):
            raise StudyError(f"privacy {name!r} has {member} and no {other}: one is of no use without the other.")
    for member in FLAGS:
        _demand(mechanism, name, member, "True or False", lambda one: isinstance(one, bool))
    for member in ("epsilon", "noise_multiplier", "clip_norm", "grid"):
        _demand(mechanism, name, member, "a number above 0", _is_positive)
    for member in ("spare_rounds", "colluding"):
        _demand(mechanism, name, member, "a whole number, 0 or more", _is_count)
    _demand(mechanism, name, "statistics", "a tuple of words", _are_words)


def _demand(mechanism: Mechanism, name: str, member: str, what: str, fits: Callable[[Any], bool]) -> None:
    if can(mechanism, member) and not fits(getattr(mechanism, member)):
        raise StudyError(f"privacy {name!r}: {member} must be {what}; it is {getattr(mechanism, member)!r}.")


def _number(mechanism: Mechanism, member: str) -> float | None:
    value = getattr(mechanism, member, None)
    return None if value is None else float(value)


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value > 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_words(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, str) and one and "/" not in one for one in value)
