"""What a hospital's people permit to be asked: `[questions]` of policy.toml."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from common.errors import StudyError
from common.study.checks import between, positive

LEAST_CELL = 10


@dataclass(frozen=True)
class QuestionRules:
    """`[questions]` of policy.toml: what may be asked beside training. Each holds whatever a study says.

    exact: whether sums leave as they are; only ever for questions that the approved study lists. free: whether
    questions are answered that no approved study lists, with noise. largest_epsilon: of one such question; what all
    of them cost a person is `largest_epsilon_a_person`. most: how many different questions are answered of the same
    data, by all studies together. most_queries: how many different queries of one exact question are answered,
    whatever totals a coordinator says that it was told in between. least_cell: fewest persons that a group may have
    on average: a question in so many groups that this hospital's persons would be fewer in each is refused. columns:
    those that questions may read; all that the source hands on, where it is not given. exact_encoders: how many
    encoders, each with the one that its study draws by chance, may be read exactly of the same data: sums by two
    that part persons a little differently tell of these. since: answers given before this day are forgotten, so that
    exact ones are given of data that changed.
    """

    exact: bool = True
    free: bool = False
    largest_epsilon: float = 1.0
    most: int | None = None
    most_queries: int = 100
    least_cell: int = LEAST_CELL
    columns: tuple[str, ...] | None = None
    exact_encoders: int = 1
    since: str = ""

    def __post_init__(self) -> None:
        where = "policy.toml questions"
        positive(where, largest_epsilon=self.largest_epsilon, most=self.most, most_queries=self.most_queries)
        positive(where, exact_encoders=self.exact_encoders)
        between(where, 1, 1_000_000, least_cell=self.least_cell)
        if self.since:
            try:
                date.fromisoformat(self.since)
            except ValueError as error:
                raise StudyError(f"{where}.since must be a day, such as 2031-02-03; it is {self.since!r}.") from error

    @property
    def judges(self) -> bool:
        """Whether anything is said that is not so without it."""
        return self != QuestionRules()
