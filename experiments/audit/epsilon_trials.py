"""What every hospital's promise of epsilon is worth: its private training done again, with canaries, and measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from time import perf_counter

from client.hospital import Hospital
from client.private_training import PrivateTrainer
from common.data.cases import Cases, SiteId
from common.learning.abilities import no_case_loss
from common.learning.parameters import Layout, read
from common.privacy.accounting import epsilon_of
from common.privacy.mechanisms.dpsgd import Dpsgd
from common.privacy.noise import SeededNoise
from common.privacy.release import Release
from common.seeding import generator
from common.study.expected_patients import expected_patients
from common.study.study import Study
from experiments.attacks.membership.shadows import local_training
from experiments.attacks.membership.target import Target
from experiments.audit.canaries import FEWEST_COUNTED, audit_gradients
from experiments.audit.canary_cases import audit_cases
from experiments.audit.questions._epsilon_bounds import Floats, Measured, most_telling_count
from experiments.audit.records import Interval, Trial
from experiments.evidence.ground_truth import facts_of_hospital, hospital_of
from experiments.evidence.private_steps import audited_mechanism, trainer_steps

SOURCE = "Steinke, Nasr and Jagielski 2023, Privacy auditing with one (1) training run (NeurIPS)"
QUESTION = "Does the training lose more privacy than was promised?"
GRADIENTS = "every noisy step of a training done again, into which it may put gradients of its own"
CASES = "the model that comes out of a training done again, into whose data it may put cases of its own"
TOO_SMALL = "a network of {length} parameters holds too few canaries to count"
NO_PROMISE = "no differential privacy was promised, so there is no epsilon to measure against"
NOT_INSIDE = "privacy {name!r} is not kept inside single hospitals, and only what they do alone can be done again"
MOST_SITES = 5
ENOUGH = f"it was measured at the first {MOST_SITES} hospitals by name, for measuring takes time"
MOST_CANARIES, FEWEST_CANARIES, VALUES = 20_000, 1000, 1 << 28
CANARY_CASES = 200
SHARE_FOR_CASES = 0.3


def epsilon_trials(
    study: Study,
    sites: Sequence[SiteId],
    confidence: float,
    seconds: float,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Trial, ...]:
    """Of the first hospitals by gradients, of the very first by cases too. Takes about `seconds`.

    confidence: that all bounds hold at once (Bonferroni), and, counted apart, that all estimates' intervals do.
    """
    mechanism = audited_mechanism(study)
    if mechanism is None:
        reason = NO_PROMISE if study.privacy is None else NOT_INSIDE.format(name=study.privacy.name)
        return (_trial("gradient_canaries", "", GRADIENTS, reason),)
    chosen, others = tuple(sites)[:MOST_SITES], tuple(sites)[MOST_SITES:]
    alone = 1 - (1 - confidence) / (len(chosen) + 1)
    trials = []
    for site in chosen:
        progress(f"canaries at {site}")
        audit = EpsilonAudit(hospital_of(study, site), mechanism, alone)
        trials.append(audit.by_gradients(seconds * (1 - SHARE_FOR_CASES) / len(chosen)))
        if site == chosen[0]:
            reason = no_case_loss(study.build_task())
            trials.append(
                _trial("canary_cases", site, CASES, reason) if reason else audit.by_cases(seconds * SHARE_FOR_CASES)
            )
    measured = [replace(one, settings={**one.settings, "confidence": confidence}) for one in trials]
    return (*measured, *(_trial("gradient_canaries", site, GRADIENTS, ENOUGH) for site in others))


@dataclass(frozen=True)
class EpsilonAudit:
    """One hospital, its mechanism, and the confidence of what is measured."""

    hospital: Hospital
    mechanism: Dpsgd
    confidence: float

    @property
    def steps(self) -> int:
        """Noisy sums in the whole study."""
        facts = facts_of_hospital(self.hospital)
        return self.mechanism.steps_a_round(facts) * facts.rounds

    def claimed(self, steps: int) -> float:
        """The epsilon that is promised for so many noisy sums."""
        facts = facts_of_hospital(self.hospital)
        release = Release(self.mechanism.noise(facts), self.mechanism.sampling_rate(facts), steps)
        return epsilon_of([release], self.mechanism.delta).epsilon

    def by_gradients(self, seconds: float) -> Trial:
        """White box: gradient canaries in every step."""
        begun = perf_counter()
        length = Layout.of(self.hospital.network).length
        count = self._canaries(length)
        if count < FEWEST_COUNTED:
            return _trial("gradient_canaries", self.hospital.site, GRADIENTS, TOO_SMALL.format(length=length))
        rng = generator(self.hospital.study.seed, self.hospital.site, "gradient canaries")
        found, steps = audit_gradients(
            trainer_steps(self.hospital, self.mechanism),
            self.steps,
            count,
            self.mechanism.delta,
            self.confidence,
            rng,
            seconds=seconds,
        )
        return self._trial("gradient_canaries", GRADIENTS, found, steps, perf_counter() - begun)

    def _canaries(self, length: int) -> int:
        """As many as tell most, of those that a gradient of that length holds and that fit into memory."""
        most = min(length, MOST_CANARIES, max(FEWEST_CANARIES, VALUES // length))
        return most_telling_count(self.claimed(self.steps), self.mechanism.delta, self.confidence, most)

    def by_cases(self, seconds: float) -> Trial:
        """Black box: noise with wrong labels among the cases, and the model at the end."""
        begun = perf_counter()
        rng = generator(self.hospital.study.seed, self.hospital.site, "canary cases")
        taken: list[int] = []

        def trained(cases: Cases, canaries: Cases) -> tuple[Floats, Floats]:
            return self._train(cases, canaries, seconds, taken)

        found = audit_cases(trained, self.hospital.train, CANARY_CASES, self.mechanism.delta, self.confidence, rng)
        return self._trial("canary_cases", CASES, found, sum(taken), perf_counter() - begun)

    def _train(self, cases: Cases, canaries: Cases, seconds: float, taken: list[int]) -> tuple[Floats, Floats]:
        """As the hospital trains, step by step while there is time; losses before and after."""
        begun = perf_counter()
        hospital, trainer = self.hospital, self._trainer(cases)
        target = Target(hospital.task, deepcopy(hospital.network))
        before = target.losses(read(hospital.network), canaries)
        for _ in range(self.steps):
            if taken and perf_counter() - begun > seconds:
                break
            taken.append(trainer.train())
        return before, target.losses(read(trainer.network), canaries)

    def _trainer(self, cases: Cases) -> PrivateTrainer:
        """The hospital's own, one step a call, with noise that can be repeated."""
        hospital, facts = self.hospital, facts_of_hospital(self.hospital)
        seed, site = hospital.study.seed, hospital.site
        noise = SeededNoise(generator(seed, site, "canary cases, noise"))
        return PrivateTrainer(
            hospital.task,
            deepcopy(hospital.network),
            cases,
            replace(local_training(hospital.study), steps=1),
            clip_norm=self.mechanism.clip_norm,
            noised=lambda total: self.mechanism.noised(total, facts, noise),
            unit=self.mechanism.unit,
            sampling_rate=self.mechanism.sampling_rate(facts),
            rng=generator(seed, site, "canary cases, sampling"),
            public_size=expected_patients(hospital.study.federation, site),
        )

    def _trial(self, attack: str, knowledge: str, found: Measured, steps: int, seconds: float) -> Trial:
        return replace(
            _trial(attack, self.hospital.site, knowledge),
            seconds=seconds,
            figures=self._figures(found, steps),
            intervals={"epsilon_estimate": Interval(found.estimate, found.estimate_low, found.estimate_high)},
            settings={"delta": self.mechanism.delta, "confidence_of_one_bound": self.confidence},
        )

    def _figures(self, found: Measured, steps: int) -> dict[str, float]:
        return {
            "epsilon_lower_bound": found.lower_bound,
            "epsilon_claimed": self.claimed(self.steps),
            "epsilon_claimed_for_audited_steps": self.claimed(steps),
            "epsilon_estimate": found.estimate,
            "guesses": float(found.guesses),
            "correct": float(found.correct),
            "canaries": float(found.canaries),
            "included": float(found.included),
            "steps": float(steps),
            "steps_of_study": float(self.steps),
        }


def _trial(attack: str, site: SiteId, knowledge: str, reason: str = "") -> Trial:
    """One that has measured nothing yet, or that cannot for that reason."""
    return Trial(attack, "epsilon", "auditor", site, QUESTION, knowledge, SOURCE, possible=not reason, reason=reason)
