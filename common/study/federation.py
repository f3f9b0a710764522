"""`[federation]` of a study: who takes part, how many must be in a sum, and what happens where somebody is lost."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from common.data.names import RULE, fault_of, in_one_form
from common.errors import StudyError
from common.study.checks import between, non_negative, positive
from common.study.compression import Compression
from common.study.expected_patients import ExpectedPatients, check_expected_patients

LARGEST_SCORE = 1e9
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RosterEntry:
    """One hospital of a study.

    name: by which studies and, where they name hospitals, data call it. key: SHA-256 of its public identity key,
    hexadecimal.

    group: a word that hospitals share whose sums are opened together only; without one the study groups those that
    have none. Hospitals that come later form groups of their own: who joins an old group is told apart by the sums
    before and after.
    """

    name: str
    key: str
    group: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", in_one_form(self.name))
        fault = fault_of(self.name)
        if fault is not None:
            raise StudyError(f"federation.roster: a hospital's name must be {RULE}; {self.name[:80]!r} {fault}.")
        if not _KEY.fullmatch(self.key):
            raise StudyError(
                f"federation.roster: the key of {self.name!r} must be the SHA-256 of its public identity key, 64 "
                f"hexadecimal digits; it is {self.key!r}."
            )


@dataclass(frozen=True)
class Federation:
    """`[federation]`: who takes part in a round, and how long anybody is waited for.

    Attributes:
        client_fraction: share of hospitals drawn each round (McMahan's C). Where only sums are revealed, whole
            groups are drawn, and the share that comes of it is printed by `wardround check`.
        roster: the study's hospitals, part of what each of them approves. Empty in simulation, where the source or
            the partition names them.
        hospitals_at_start: how many must be there before the first round; all that are expected, where not given.
        least_in_sum: fewest hospitals whose sum may be opened, or, where single updates are read, that must reply.
            Not given: the larger of 3 and two thirds of a round's hospitals; 1 where single updates are read.
        noise_shares: shares of `distributed` noise that the promise counts on; not given: least_in_sum, the most,
            less those that a coordinator could leave out of a sum unseen (`secagg` of more than a hundred).
        groups: "whole": sums without noise are opened of whole, fixed groups only, so that no two sums tell a single
            hospital apart. "off": of any hospitals, for research; the report says what that costs.
        on_dropout: where a group is not whole: "wait" repeats the round until it is, "other-groups" goes on without
            it where others may be opened, "stop" ends the run, which can be resumed.
        dropout_wait_s: longest wait for lost hospitals in one round.
        round_timeout_s: longest wait for one leg.
        start_timeout_s: longest wait for hospitals to come up.
        evaluate_every: rounds between evaluations of the model by all hospitals; 0: only at the end.
        evaluate_split: on which of their cases.
        evaluate_fraction: share of hospitals that score, drawn anew each time; where only sums are revealed, of the
            last model alone and by whole groups. Whoever trains in a round scores in it too.
        final_intervals: of the last model's scores, confidence intervals over patients too.
        withhold_test: score the last model on validation cases alone; hospitals refuse to score test cases. For runs
            among which one is chosen (`wardround tune`).
        stop_at_score: stop early once the pooled headline score, as evaluated between rounds, reaches this; choose it
            on validation cases unless a paper's protocol says test.
        stop_on_collapse: end the run where the network answers all cases alike, of tasks that are watched for it, as
            are those without labels. Not set: it goes on, and the run and its report say so.
        track: tell TensorBoard (in the run folder) or MLflow (where MLFLOW_TRACKING_URI says) of every round as it
            happens: settings, and numbers that the coordinator knows.
        record_traffic: keep every message in the run folder, for the audit.
        programs: digests of the programs that hospitals may run, as `wardround version` says them; any,
            where not given. Each hospital refuses where its own is not among them.
        expected_patients: public numbers in the place of the hospitals' own; see `common.study.expected_patients`.
        compression: updates in fewer bytes on their way up; see `common.study.compression`. Not given: in full.
    """

    client_fraction: float = 1.0
    roster: tuple[RosterEntry, ...] = ()
    hospitals_at_start: int | None = None
    least_in_sum: int | None = None
    noise_shares: int | None = None
    groups: Literal["whole", "off"] = "whole"
    on_dropout: Literal["wait", "other-groups", "stop"] = "wait"
    dropout_wait_s: float = 60.0
    round_timeout_s: float = 600.0
    start_timeout_s: float = 120.0
    evaluate_every: int = 1
    evaluate_split: Literal["validation", "test"] = "validation"
    evaluate_fraction: float = 1.0
    final_intervals: bool | None = None
    withhold_test: bool = False
    stop_at_score: float | None = None
    stop_on_collapse: bool = False
    track: Literal["none", "tensorboard", "mlflow"] = "none"
    record_traffic: bool = False
    expected_patients: ExpectedPatients | None = None
    programs: tuple[str, ...] | None = None
    compression: Compression | None = None

    def __post_init__(self) -> None:
        check_expected_patients(self.expected_patients)
        self._check_programs()
        shares = {"client_fraction": self.client_fraction, "evaluate_fraction": self.evaluate_fraction}
        between("federation", 0, 1, **shares)
        positive("federation", **shares)
        if self.stop_at_score is not None:
            between("federation", -LARGEST_SCORE, LARGEST_SCORE, stop_at_score=self.stop_at_score)
        positive(
            "federation",
            hospitals_at_start=self.hospitals_at_start,
            least_in_sum=self.least_in_sum,
            noise_shares=self.noise_shares,
            round_timeout_s=self.round_timeout_s,
            start_timeout_s=self.start_timeout_s,
        )
        non_negative("federation", evaluate_every=self.evaluate_every, dropout_wait_s=self.dropout_wait_s)
        twice = [name for name, times in Counter(entry.name for entry in self.roster).items() if times > 1]
        if twice:
            raise StudyError(f"federation.roster names {twice[0]!r} more than once; every hospital has one entry.")
        shared = [key for key, times in Counter(entry.key for entry in self.roster).items() if times > 1]
        if shared:
            both = " and ".join(entry.name for entry in self.roster if entry.key == shared[0])
            raise StudyError(f"federation.roster gives {both} one key; every hospital has its own.")
        if any(not entry.name.strip() for entry in self.roster):
            raise StudyError("federation.roster lists a hospital without a name.")
        if self.noise_shares is not None and self.least_in_sum is not None and self.noise_shares > self.least_in_sum:
            raise StudyError(
                f"federation.noise_shares may be at most federation.least_in_sum, {self.least_in_sum}, since a sum "
                f"of so few may be opened; it is {self.noise_shares}."
            )

    def _check_programs(self) -> None:
        if self.programs is None:
            return
        if not self.programs:
            raise StudyError(
                "federation.programs lists no program: no hospital could take part. Leave it out for any."
            )
        for digest in self.programs:
            if not _KEY.fullmatch(digest):
                raise StudyError(
                    "federation.programs must list SHA-256 digests of programs, 64 hexadecimal digits in small "
                    f"letters, as `wardround version` says them; it lists {digest[:80]!r}."
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The roster's names, sorted; () without a roster."""
        return tuple(sorted(entry.name for entry in self.roster))
