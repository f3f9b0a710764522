"""Flower's wiring of a hospital, and the one place that turns any error into one that says nothing of patients."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from client import (
    charge_once,
    delivered_models,
    fine_tuning,
    handlers,
    incidents,
    own_parts,
    patient_scores,
    questions,
    state_store,
    told_groups,
)
from client.admission import admit
from client.answered_rounds import go_forward
from client.approved_studies import digest_of
from client.data_location import demand_own_place
from client.enrolment import membership
from client.even_lengths import filled_up
from client.excluded_cases import keep_left_out
from client.hospital import Hospital, open_hospital
from client.hours import demand_open
from client.logged_requests import note_reply, study_digest
from client.node import TAKES_VIEWS, largest_message_bytes
from client.policy import read_policy
from client.policy_rules import refuse_broken, refuse_weak_noise
from client.protocol_context import (
    data_of,
    folder_of,
    is_simulated,
    log_folder_of,
    open_local,
    outlives_power,
    sources,
)
from client.split_record import KeptSplit, Persons, SplitKeeper, demand_unchanged, hides_changes, token_of
from client.taken_back import demand_possible
from client.tidying import tidy
from client.withdrawn import withdrawn
from common.errors import (
    BeyondRangeError,
    BudgetSpentError,
    DataChangedError,
    RefusedError,
    RoundsSpentError,
    SourceError,
    WireError,
)
from common.learning.device import chosen, home, repeatable
from common.study.plugins import ANYTHING, Trust, trusting
from common.study.program import this_program
from common.sums.exchange import Payload
from common.wire.records import Written, from_records, to_records
from common.wire.train_requests import (
    ACCEPTS_CHANGED_DATA,
    LEGS,
    ROOM,
    TOKEN,
    WITHDRAWN,
    run_of,
    study_json,
    taken_back_of,
)

LARGEST_ARRAY = 1 << 29
"""Most numbers a request may hold: 2 GiB, Flower's own limit of a message."""
LARGEST_DATA = 1 << 31
"""Most bytes of a protocol's own."""

Answer = Callable[[Hospital, Payload, handlers.RequestContext], Payload]

LOG = logging.getLogger("wardround.hospital")
_tidied: set[Path] = set()

app = ClientApp()
this_program()  # as it is while this process begins, before anybody could change what it has loaded


@app.query("hello")
def hello(message: Message, context: Context) -> Message:
    """Describe this hospital."""
    return _reply(message, context, handlers.hello)


@app.query("members")
def take_signatures(message: Message, context: Context) -> Message:
    """Keep the other hospitals' signatures over the member list."""
    return _reply(message, context, partial(_signatures, context))


@app.query("start")
def start_model(message: Message, context: Context) -> Message:
    """Keep the model that the study begins from."""
    return _reply(message, context, partial(own_parts.take, context))


@app.train("round")
def train_round(message: Message, context: Context) -> Message:
    """Train on the received model."""
    return _reply(message, context, handlers.round_)


@app.evaluate("model")
def evaluate_model(message: Message, context: Context) -> Message:
    """Evaluate the received model."""
    return _reply(message, context, handlers.evaluate_)


@app.train("local")
def train_local(message: Message, context: Context) -> Message:
    """Train a model of this hospital's own."""
    return _reply(message, context, handlers.local)


@app.query("keep")
def keep_model(message: Message, context: Context) -> Message:
    """Keep the model that the run ended with."""
    return _reply(message, context, partial(delivered_models.take, context))


@app.query("question")
def answer_question(message: Message, context: Context) -> Message:
    """Add up what a question asks for, for the sum of all hospitals."""
    return _reply(message, context, questions.answer)


@app.query("protocol")
def protocol(message: Message, context: Context) -> Message:
    """Answer a leg of the study's aggregation."""
    return _reply(message, context, handlers.protocol)


def _signatures(context: Context, hospital: Hospital, request: Payload, kept: handlers.RequestContext) -> Payload:
    return membership.take_signatures(folder_of(context), hospital.study, hospital.site, request)


def _reply(message: Message, context: Context, answer: Answer) -> Message:
    """The answer, or, whatever went wrong, a number to ask this hospital for. No text of an error ever leaves."""
    try:
        with trusting(_trust(context)):
            payload = _answered(message, context, answer)
        records = to_records(payload, Written(context.node_config.get(TAKES_VIEWS) is True))
    except RefusedError as refusal:
        incidents.refused(refusal, log_folder_of(context))
        records = to_records(Payload(words={"refused": refusal.reason}))
    except BeyondRangeError:
        records = to_records(Payload(words={"refused": "range"}))
    except RoundsSpentError:
        records = to_records(Payload(words={"refused": "rounds"}))
    except DataChangedError:
        records = to_records(Payload(words={"refused": "data"}))
    except BudgetSpentError:
        records = to_records(Payload(words={"refused": "budget"}))
    except Exception as error:  # noqa: BLE001 - every kind of error is a possible leak
        number = incidents.report(error, log_folder_of(context))
        records = to_records(Payload(words={"incident": number}))
    return Message(_logged(message, context, records), reply_to=message)


def _logged(message: Message, context: Context, records: RecordDict) -> RecordDict:
    """The reply, once the hospital's log says of it; where it cannot, an incident's number and nothing else."""
    leg = message.metadata.message_type
    try:
        request = message.content if message.has_content() else RecordDict()
        note_reply(context, leg, request, records)
        if leg == LEGS["round"]:
            charge_once.release(folder_of(context), study_digest(request))
    except Exception as error:  # noqa: BLE001 - what is not in the log does not go out
        return to_records(Payload(words={"incident": incidents.report(error, log_folder_of(context))}))
    return records


def _trust(context: Context) -> Trust:
    """A simulated hospital is its researcher's own; a deployed one imports what its policy names."""
    return ANYTHING if is_simulated(context) else read_policy(folder_of(context)).trust


def _answered(message: Message, context: Context, answer: Answer) -> Payload:
    torch.set_num_threads(1)
    request = from_records(message.content, LARGEST_ARRAY, LARGEST_DATA)
    number = request.numbers.get("round", 0)
    if not isinstance(number, int):
        raise WireError("a request's round must be a whole number.")
    run = run_of(request)
    is_hello = answer is handlers.hello
    hospital, token = _held_hospital(context, request, run, is_hello)
    members = None if is_simulated(context) else folder_of(context)
    if message.metadata.message_type not in (LEGS["hello"], LEGS["members"]):
        membership.demand_agreed(members, hospital.study, hospital.site)
    taken_back = demand_possible(hospital.study, number, taken_back_of(request))
    state = state_store.Memory.of(context, study_json(request), run, number, taken_back)
    secrets = state_store.recall_secrets(context, study_json(request), run)
    local = partial(open_local, hospital, context, number, run, secrets, state)
    durable = outlives_power(context)
    kept = handlers.RequestContext(
        state.vectors,
        local,
        sources(hospital, context, number),
        is_simulated(context),
        partial(go_forward, folder_of(context), secrets, hospital.digest, run, outlives_power=durable),
        keep_tuned=partial(fine_tuning.keep, log_folder_of(context), hospital.digest, run),
        tell_groups=partial(told_groups.tell_once, folder_of(context), data_of(context), hospital.study),
        keep_own=partial(patient_scores.keep, log_folder_of(context) if is_simulated(context) else None),
    )
    if answer is handlers.hello:
        _tidy_once(context)
        keep_left_out(log_folder_of(context), hospital.everybody.values())
    elif message.metadata.message_type not in (LEGS["start"], LEGS["members"]):
        own_parts.put_start(hospital, context)
    try:
        with repeatable(home(hospital.network)):
            payload = answer(hospital, request, kept)
        if is_hello:
            said = membership.said_of_members(members, hospital.site, run, context.node_id)
            words = {**payload.words, TOKEN: token, **own_parts.told(hospital, context), **said}
            numbers = {**payload.numbers, ROOM: largest_message_bytes(context.node_config)}
            payload = replace(payload, words=words, numbers=numbers)
        if hospital.withdrawn:
            payload = replace(payload, numbers={**payload.numbers, WITHDRAWN: hospital.withdrawn})
    finally:
        state_store.keep_secrets(context, study_json(request), run, secrets)
    state.keep()
    return filled_up(payload, hospital.study)


def _tidy_once(context: Context) -> None:
    """When a hospital is first asked in a process, and where it is one: simulated folders go with their run."""
    folder = folder_of(context)
    if folder is None or is_simulated(context) or folder in _tidied:
        return
    _tidied.add(folder)
    for name in tidy(folder):
        LOG.info("%s was removed: nobody needs it any more", name)


def _held_hospital(context: Context, request: Payload, run: str, is_hello: bool) -> tuple[Hospital, str]:
    """The hospital with the data that the run began with, and their token.

    At hello it says whether they changed, and takes a change that was accepted; later it refuses.
    """
    study = study_json(request)
    _admit(study, context, f"{run} {request.numbers.get('round', 0)}")
    keeper = SplitKeeper(context, folder_of(context), study, run)
    kept = keeper.read() if run else None
    if kept is None:
        hospital = _approved_hospital(study, context)
        return hospital, keeper.begin(hospital).token if run else ""
    gone = kept.of(withdrawn(folder_of(context)))
    hospital = _approved_hospital(study, context, kept if kept.pinned or gone else None)
    if hides_changes(hospital.study):
        return _as_told(hospital, kept, gone), kept.token
    if not is_hello:
        demand_unchanged(kept, hospital, gone)
        return _as_told(hospital, kept, gone), kept.token
    token = token_of(kept.key, hospital, gone)
    if token == kept.token or request.numbers.get(ACCEPTS_CHANGED_DATA) != 1:
        return _as_told(hospital, kept, gone), token
    wanted = keeper.accept(kept, hospital)
    hospital = _approved_hospital(study, context, wanted)
    kept = keeper.seal(wanted, hospital, gone)
    return _as_told(hospital, kept, gone), kept.token


def _as_told(hospital: Hospital, kept: KeptSplit, gone: Persons) -> Hospital:
    """Where privacy is promised, numbers that are taken as public do not tell that somebody withdrew."""
    if not gone or hospital.study.privacy is None:
        return replace(hospital, withdrawn=len(gone)) if gone else hospital
    return replace(hospital, counted=kept.counted)


def _admit(study: str, context: Context, place: str) -> None:
    """Nothing is read or built for a study before it is approved. place: the round in question, of its run."""
    folder = folder_of(context)
    admit(study, folder, is_deployed=not is_simulated(context))
    policy = read_policy(folder)
    if folder is not None and policy.hours:
        demand_open(policy.windows, policy.time_zone, folder, f"{digest_of(study)} {place}")
    refuse_broken(study, policy)


def _approved_hospital(study: str, context: Context, places: KeptSplit | None = None) -> Hospital:
    demand_own_place(study, context)
    data_folder = context.node_config.get("data-folder")
    name = context.node_config.get("site")
    hospital = open_hospital(
        study,
        _index(context) if name is None else None,
        None if data_folder is None else str(data_folder),
        None if is_simulated(context) else folder_of(context),
        withdrawn(folder_of(context)),
        None if name is None else str(name).strip(),
        places,
        _device(context),
    )
    refuse_weak_noise(hospital, read_policy(folder_of(context)))
    return hospital


def _device(context: Context) -> torch.device:
    """This party's own: by its policy, else its node's configuration, else its environment.

    Hospitals on one machine share its GPUs in turn, by their numbers.
    """
    policy = read_policy(folder_of(context))
    word = policy.device if policy.device is not None else context.node_config.get("device")
    share = context.node_config.get("partition-id", context.node_config.get("site-index"))
    found = chosen(None if word is None else str(word), share if isinstance(share, int) else 0)
    if policy.devices is not None and found.type not in policy.devices:
        raise RefusedError("devices", f"devices = {list(policy.devices)}, and this node would compute on {found}.")
    return found


def _index(context: Context) -> int:
    """Which of the study's sorted hospitals this node is, where its configuration does not name it."""
    index = context.node_config.get("site-index", context.node_config.get("partition-id"))
    if not isinstance(index, int):
        raise SourceError("this node's configuration lacks site, the name of its hospital.")
    return index
