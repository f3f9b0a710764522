"""Questions to the hospitals of a study, from hello to the answers in a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from secrets import token_hex
from time import perf_counter
from typing import Any, cast

from flwr.serverapp import Grid

from common.asking.abilities import least_hospitals_of
from common.asking.analysis import IMPOSSIBLE
from common.asking.answer import Answer
from common.asking.pooled import conduct
from common.asking.public import public_of
from common.asking.question import Question, demand_encoder
from common.asking.shared_noise import noise_of, telling
from common.asking.small_cells import held_back
from common.data.names import SiteId
from common.errors import AnalysisError, StudyError, TooFewHospitalsError, WardroundError, WireError
from common.files.access import append
from common.study.catalogue import AGGREGATIONS
from common.study.study import Study
from common.sums.aggregation import Aggregation
from common.sums.cohorts import Cohorts
from common.sums.wide import FIRST_ROUND
from common.sums.wide_sums import demand_wide
from server.asking.sums import Channel, Conversation
from server.asking.words import SCHEMA, answer_table, opened_table, question_table
from server.exchange import GridExchange
from server.giving import give
from server.handshake import gather
from server.initial_model import Beginning
from server.problems import Problem, keep
from server.progress import HospitalJoined, HospitalsRefuse, ProblemFound, Progress, RunFinished, RunState
from server.run_folder import RunFolder
from server.run_record import first_words
from server.traffic import Traffic
from server.transport import Conversation as Transport

LARGEST_DATA = 1 << 30
"""Bytes of one reply: digits of 2**23 words under distributed keys take the most."""
ANSWERS, QUERIES = "answer.json", "queries.jsonl"
NO_ROWS = "its sums are such as no rows add up to, or beyond what can be computed with"


@dataclass
class Asker:
    """Asks `questions` one after the other. hospitals, sites: as in `Conductor`.

    A question that has no answer does not end those that follow; the folder says why it has none.
    """

    study: Study
    name: str
    grid: Grid
    folder: RunFolder
    progress: Progress
    questions: tuple[Question, ...]
    hospitals: int = 0
    sites: tuple[SiteId, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)
    problems: dict[SiteId, str] = field(default_factory=dict)
    simulated: bool = False

    def run(self) -> None:
        """All questions. Whatever ends it, the folder says how, and the error rises to the caller."""
        begin = perf_counter()
        self.about = first_words(self.study, self.name, self.grid, self.hospitals, self.sites)
        self.about |= {"questions": [one.words for one in self.questions], "run": token_hex(16)}
        self.folder.write_json("question.json", [question_table(one) for one in self.questions])
        try:
            self._ask_all(begin)
        except WardroundError as error:
            self._finish("stopped", str(error), begin)
            raise
        except KeyboardInterrupt as error:
            self._finish("stopped", str(error) or "it was interrupted from the keyboard", begin)
            raise
        except BaseException as error:
            self._finish("failed", type(error).__name__, begin)
            raise
        self._finish("completed", "", begin)

    def _ask_all(self, begin: float) -> None:
        demand_encoder(self.questions, self.study.start is not None)
        beginning = Beginning(self.study)
        if any(one.encoder == "start" for one in self.questions):
            beginning = Beginning.of(self.study, self.folder, self.simulated, False)
            self.study, self.about["start"] = beginning.study, beginning.told
        self.folder.write_text("study.toml", self.study.text)
        channel = self._channel(beginning)
        self.folder.write_json("about.json", self.about)
        answers: list[dict[str, Any]] = []
        for question in self.questions:
            answers.append(self._asked(question, channel, len(answers)))
            self.folder.write_json(ANSWERS, self._answers(channel, answers))

    def _channel(self, beginning: Beginning) -> Channel:
        aggregation = cast(Aggregation, AGGREGATIONS.build(self.study.aggregation))
        demand_wide(aggregation, self.study.aggregation.name)
        transport = Transport(self.grid, largest_data=LARGEST_DATA)
        expected, run = self.study.federation.names or self.sites, str(self.about["run"])
        gathered = gather(
            transport,
            self.study,
            self.hospitals,
            self.traffic,
            self._note,
            expected,
            run,
            refuses=lambda refused: self.progress.publish(HospitalsRefuse(refused)),
        )
        for site, known in gathered.members.items():
            self.progress.publish(HospitalJoined(site, known.quarantined))
        cohorts = Cohorts.of(self.study, expected or gathered.members)
        first_round = max(FIRST_ROUND, self.study.rounds + 1)
        cohort = cohorts.of_round(first_round)
        aggregation.check(len(cohort.sites))
        timeout_s = self.study.federation.round_timeout_s
        exchange = GridExchange(
            transport, gathered.nodes, self.traffic, self.progress, timeout_s, self.study.json, run
        )
        if beginning.taken is not None:
            shape = next(iter(gathered.members.values())).shape
            model = beginning.to_send(beginning.network(self.study.build_task(), shape))
            if model is not None:
                give(model, self.study, gathered.members, exchange, self._note)
        self.about["reveals"] = aggregation.reveals
        return Channel(
            aggregation,
            exchange,
            cohort,
            tuple(gathered.members),
            self.study.federation,
            first_round,
            self.problems,
        )

    def _asked(self, question: Question, channel: Channel, index: int) -> dict[str, Any]:
        """One entry of answer.json."""
        begin, conversation = perf_counter(), Conversation(channel, question)
        answer, state, why = self._answer(conversation)
        for one in conversation.opened:
            line = json.dumps({"question": index, **opened_table(one)}, allow_nan=False, ensure_ascii=False)
            append(self.folder.path, QUERIES, line + "\n")
        opened = conversation.opened
        contributed = opened[-1].sites if opened else ()
        dropped = {drop.site: drop.reason for one in opened for drop in one.dropped if drop.site not in contributed}
        return {
            "question": question_table(question),
            "state": state,
            "reason": why,
            "discloses": question.build().discloses,
            "of_hospitals": question.tells_hospitals,
            **answer,
            "contributed": list(contributed),
            "missing": [{"site": site, "reason": reason} for site, reason in sorted(dropped.items())],
            "queries": len(opened),
            "numbers_sent": sum(part.size for one in opened for part in one.query.parts.values()),
            "seconds": perf_counter() - begin,
            "bytes": {
                "sent": sum(one.bytes_sent for one in opened),
                "received": sum(one.bytes_received for one in opened),
            },
        }

    def _answer(self, conversation: Conversation) -> tuple[dict[str, Any], str, str]:
        """The answer as JSON has it, and "answered"; or an empty one, "no answer", and why there is none.

        Nobody sees whether a hospital's part of a sum is what its rows give. What an analysis does with totals that
        no rows give, as a negative number of rows, ends this question and nothing else.
        """
        channel, analysis = conversation.channel, conversation.question.build()
        public = public_of(self.study, channel.cohort.sites)
        least = least_hospitals_of(analysis)
        channel.cohort = channel.cohort.demanding(least)
        try:
            noise = noise_of(conversation.question, self.study, len(public.sites))
            conversation.telling = telling(noise, len(public.sites))
            answer = conduct(analysis, public, conversation.summed).answer
            shown = held_back(answer, self._least_cell(conversation.question))
            return answer_table(shown), "answered", ""
        except (AnalysisError, TooFewHospitalsError, StudyError, WireError) as error:
            why = str(error)
        except IMPOSSIBLE as error:
            why = f"question {conversation.question.words!r} has no answer: {NO_ROWS} ({type(error).__name__})."
        channel.exchange.take_dropped()
        return answer_table(Answer({}, words=(why,))), "no answer", why

    def _least_cell(self, question: Question) -> int:
        """Fewest rows of what is shown of real patients; noise hides who is in a cell, however small."""
        is_real = bool(self.study.federation.roster)
        return self.study.report.least_cell if is_real and not question.epsilon else 0

    def _answers(self, channel: Channel, answers: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "study": self.name,
            "title": self.study.title,
            "run": self.about["run"],
            "aggregation": self.study.aggregation.name,
            "reveals": channel.aggregation.reveals,
            "sees": sees(channel.aggregation.reveals, any(one["of_hospitals"] for one in answers)),
            "hospitals": list(channel.cohort.sites),
            "answers": answers,
        }

    def _note(self, problem: Problem) -> None:
        """Who takes no part, and why."""
        problem = replace(problem, after_round=0)
        if problem.site:
            self.problems[problem.site] = problem.reason
        keep(self.folder.path, problem)
        self.progress.publish(ProblemFound(problem))

    def _finish(self, state: RunState, reason: str, begin: float) -> None:
        self.about |= {"state": state, "reason": reason, "seconds": perf_counter() - begin}
        self.folder.write_json("about.json", self.about)
        self.folder.write_json("traffic.json", self.traffic.table())
        self.progress.publish(RunFinished(state, reason, self.folder.path))


def sees(reveals: str, tells_hospitals: bool) -> str:
    """What the coordinator reads. tells_hospitals: whether a question has sums of single hospitals."""
    if reveals == "each":
        return "The coordinator reads every hospital's own part of each sum (aggregation 'plain')."
    but = ", except where a question is of single hospitals: there it reads each one's own numbers" * tells_hospitals
    return f"The coordinator reads the sums over all hospitals that took part, and no hospital's own part{but}."
