"""The first page: what is judged, one question answered in one sentence, and a table that a person can sign.

It has the parts of a data protection impact assessment, as the ICO's and the CNIL's templates ask for them: context,
necessity, measures, risks before and after them, the opinion of those concerned, decision and review.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from common.study.dossier_settings import Dossier
from experiments.audit.dossier.prices import in_words
from experiments.audit.dossier.pyramid import epsilon_in_words
from experiments.audit.dossier.risks import LEVELS, RULE, UNJUDGED, placed
from experiments.audit.dossier.scope import LABELS
from experiments.audit.dossier.sheet import Risk, Sheet
from experiments.audit.records import Light, Report
from experiments.audit.report.words import LIGHTS
from server.reporting.markup import Child, Markup, joined, table, tag
from server.reporting.sections.layout import facts, section
from server.reporting.sections.traffic import WHAT
from server.reporting.wording import capital, count, duration, listed

QUESTION = "May this model be signed off and shared under the conditions below?"
ANSWERS: Mapping[Light, str] = {
    "red": "No.",
    "amber": "Only with care.",
    "green": "Nothing that was tried speaks against it.",
}
LEAVING = {
    "update": "updates of the model (how training changed it, in numbers)",
    "description": "a description of its data (the shape of a case, counts)",
}
"""Of what hospitals send, where the name alone tells an officer nothing."""
BLANKS = {
    "purpose": ("Purpose", "whoever runs the study"),
    "controller": ("Controller", "the hospitals together"),
    "contact": ("Data-protection officer", "the controller"),
    "legal_basis": ("Legal basis", "the data-protection officer"),
    "data": ("Personal data", "the hospitals"),
    "persons": ("Of whom", "the hospitals"),
    "necessity": ("Why less would not do", "whoever runs the study"),
    "information": ("How persons are told, and object", "the hospitals"),
    "consultation": ("Whose views were sought", "the data-protection officer"),
    "retention": ("Kept for how long", "the controller"),
}
"""Of `[dossier]`: the words of a row, and who fills it in where the study does not say."""
UNMEASURED = (
    "Not judged: how likely it is without this study's measures was not measured here; a comparison of protections "
    "does, `wardround audit STUDY --matrix`."
)
EDPB = (
    "A model is anonymous only where it is too unlikely to count, for everybody whose data trained it and by all "
    "means reasonably likely to be used, both that their data are taken out of it and that questions bring them out "
    "(EDPB, Opinion 28/2024). Three tests ask for more than a name: singling out, linkability, inference (WP216)."
)


def judged_line(report: Report) -> Markup | None:
    """The first line: a simulation or a deployment."""
    sheet = report.dossier
    if sheet is None:
        return None
    look = "good" if sheet.judged == "deployment" else "warn"
    label = tag("span", LABELS[sheet.judged], class_=f"badge {look}")
    return tag("p", label, f" {sheet.what}", class_="judged")


def asked(light: Light, finding: str) -> Markup:
    """The question, and its answer in a sentence."""
    return tag(
        "div",
        tag("p", QUESTION, class_="question"),
        tag("p", tag("b", ANSWERS[light]), f" {finding}", class_="finding"),
    )


def front(report: Report) -> list[tuple[str, str, Markup]]:
    """The sections that a person signs, each with its word and key; none where a report has no dossier."""
    sheet = report.dossier
    if sheet is None:
        return []
    return [
        ("Study", "dossier", _context(report, sheet)),
        ("Risks", "risks", _risks(sheet)),
        ("Anonymous?", "anonymous", _anonymous(sheet)),
        ("Consent", "consent", _consent(sheet)),
        ("Decision", "decision", _decision(sheet)),
    ]


def _context(report: Report, sheet: Sheet) -> Markup:
    said = [(words, _said(sheet.said, name, by)) for name, (words, by) in BLANKS.items()]
    rows: list[tuple[str, Child]] = [
        *said[:3],
        ("Parties and roles", _parties(report, sheet)),
        *said[3:],
        ("What leaves, and to whom", _leaving(report)),
        ("What was promised", _promised(report, sheet)),
        ("What was tried, with what power", _tried(report)),
        ("What no attack can exceed", sheet.recognition_note),
        ("What advice costs", _prices(sheet)),
    ]
    return section("dossier", "The study and its promise", None, facts(rows))


def _said(said: Dossier, name: str, by: str) -> Child:
    words = str(getattr(said, name))
    return words or tag("span", f"To be filled in by {by}", class_="blank")


def _parties(report: Report, sheet: Sheet) -> Markup:
    named = [f"{one.name}: {one.role}" for one in sheet.said.parties]
    if not named:
        named = [tag("span", "Roles in law: to be filled in by the controller", class_="blank")]
    hospitals = listed([one.site for one in report.verdicts], most=8)
    lines = [*named, f"Hospitals of the study: {hospitals}", "One coordinator, which adds up what they send"]
    return _list(lines)


def _leaving(report: Report) -> Markup:
    sent = dict.fromkeys(str(kind["content"]) for kind in report.traffic if kind.get("direction") != "to hospital")
    out = [LEAVING.get(content) or WHAT.get(content, content).partition(":")[0] for content in sent]
    reads = {one["party"]: one["reads"] for one in report.parties}
    told, read = listed(out, most=9), reads.get("the coordinator", "all of it")
    lines = [f"To the coordinator: {told}. It reads {read}."]
    lines += [f"{capital(who)} reads {what}." for who, what in reads.items() if who.startswith("an outsider")]
    lines.append("No image, label or name of a patient is sent.")
    return _list(lines)


def _promised(report: Report, sheet: Sheet) -> Child:
    claim = report.claim
    if not claim.epsilon:
        return "No bound on what the model itself tells of a patient (no epsilon). " + claim.readers
    here = epsilon_in_words(max(claim.epsilon.values()))
    lines: list[Child] = [
        f"Epsilon {here} at delta {claim.delta:g}, for one {claim.unit}, over all rounds of this study.",
        f"Compared are {claim.relation.partition(': ')[2] or claim.relation}.",
        *(_all_studies(sheet)),
    ]
    return _list(lines)


def _all_studies(sheet: Sheet) -> Iterator[str]:
    """What the hospitals' ledgers say of all studies together."""
    known = [one for one in sheet.ledgers if one.epsilon is not None and not one.fault]
    for one in sheet.ledgers:
        if one.fault:
            yield f"The ledger of {one.site} cannot be relied on: {one.fault}"
    if not known:
        yield "Over all studies: each hospital's own ledger says (`wardround privacy ledger`); none lies here."
        return
    worst = max(known, key=lambda one: one.epsilon or 0.0)
    where = "in the ledgers of this run's hospitals"
    yield (
        f"Over {count(worst.studies, 'study', 'studies')} {where}, for the patient of whom most was told: epsilon "
        f"{worst.epsilon:.3g} at delta {worst.delta:g} ({worst.site})."
    )


def _tried(report: Report) -> Markup:
    tried = [trial for trial in report.trials if trial.possible]
    kinds = len({trial.attack for trial in tried})
    seen, of = sum(one.seen for one in report.power), sum(one.of for one in report.power)
    many = f"{count(kinds, 'kind')} of attack in {count(len(tried), 'attempt')}"
    lines = [f"{many}, {duration(report.seconds)} in all."]
    if of:
        lines.append(f"Faults planted on purpose were seen in {seen} of {of} tries; the table below says which.")
    else:
        lines.append("No fault was planted to see whether the attacks would have seen it.")
    return _list(lines)


def _prices(sheet: Sheet) -> Markup:
    return _list([*map(in_words, sheet.prices), sheet.price_note])


def _risks(sheet: Sheet) -> Markup:
    rows = [
        [
            f"{number}. {one.feared}",
            one.severity,
            one.before,
            one.after,
            coded(_why(one)),
        ]
        for number, one in enumerate(sheet.risks, 1)
    ]
    head = ["What is feared", "Severity", "Likelihood before", "With the measures", "Why"]
    return section(
        "risks",
        "Risks to patients, before the measures and with them",
        f"{RULE} Severity is a suggestion, for you to change.",
        _matrix(sheet),
        table(head, rows, words=len(head)),
        tag("p", coded(UNMEASURED), class_="note") if any(one.before == UNJUDGED for one in sheet.risks) else None,
    )


def _why(one: Risk) -> str:
    """Why nothing is known of before stands once below the table, not in each row."""
    if one.before == UNJUDGED:
        return one.after_because
    return f"Before: {one.before_because} With the measures: {one.after_because}"


def _matrix(sheet: Sheet) -> Markup:
    """Severity upwards, likelihood to the right; a number in brackets is the risk before the measures."""
    cells = placed(sheet.risks)
    rows = []
    for severity in reversed(LEVELS):
        marks = [cells.get((severity, likelihood), ([], [])) for likelihood in LEVELS]
        looks = [_heat(severity, likelihood) for likelihood in LEVELS]
        rows.append(
            tag(
                "tr",
                tag("th", severity, scope="row"),
                *(tag("td", _marks(*mark), class_=look) for mark, look in zip(marks, looks, strict=True)),
            )
        )
    head = tag(
        "tr", tag("th", "Severity \u2191, likelihood \u2192"), *(tag("th", one, scope="col") for one in LEVELS)
    )
    said = "In brackets: before the measures, where that was judged. Numbers are those of the table."
    note = tag("p", said, class_="note")
    return tag("div", tag("table", tag("thead", head), tag("tbody", *rows), class_="heat"), note, class_="figure")


def _heat(severity: str, likelihood: str) -> str:
    height = LEVELS.index(severity) + LEVELS.index(likelihood)
    return "good" if height <= 2 else "warn" if height <= 3 else "bad"


def _marks(before: Sequence[int], after: Sequence[int]) -> str:
    return " ".join([*(f"({number})" for number in before), *(str(number) for number in after)])


def _anonymous(sheet: Sheet) -> Markup:
    rows = [[capital(one.test), _badge(one.light), coded(one.fact)] for one in sheet.bearings]
    return section(
        "anonymous",
        "Personal data, or anonymous?",
        EDPB,
        tag("p", tag("b", sheet.anonymous)),
        table(["Test", "", "What bears on it"], rows, words=3),
    )


def _consent(sheet: Sheet) -> Markup:
    rows = [[one.site, str(one.since), str(one.in_all), str(one.without_consent)] for one in sheet.departed]
    head = ["Hospital", "Withdrew since the run began", "On its list in all", "Cases left out for want of consent"]
    return section(
        "consent",
        "Consent and withdrawals, and what models keep",
        None,
        tag("ul", *(tag("li", coded(one)) for one in sheet.retained)),
        table(head, rows) if rows else None,
    )


def _decision(sheet: Sheet) -> Markup:
    conditions = tag(
        "ol",
        *(tag("li", "\u2610 ", _badge(one.light), " ", coded(one.sentence)) for one in sheet.conditions),
        class_="conditions",
    )
    choices = ["sign", "sign under the conditions that are ticked", "do not sign"]
    boxes = tag("p", *(tag("span", f"\u2610 {one}", class_="choice") for one in choices))
    lines: list[tuple[str, Child]] = [
        ("Further conditions", _line()),
        ("Reasons", _line()),
        ("Advice of the officer", _line()),
        ("Name", _line()),
        ("Role", _line()),
        ("Date", _line()),
        ("Signature", _line()),
        ("To be looked at again on", sheet.said.review or _line()),
    ]
    return section(
        "decision",
        "Conditions and decision",
        "The answer above holds where these hold. Tick each that somebody who knows has confirmed; one that nobody "
        "can confirm is a reason not to sign.",
        conditions,
        tag("div", tag("h3", "Decision"), boxes, facts(lines), class_="figure sign"),
        facts([(what, tag("code", digest)) for what, digest in sheet.marks.items()]),
    )


def _badge(light: Light) -> Markup:
    _, look, sign = LIGHTS[light]
    return tag("span", sign, class_=f"badge {look}")


def _list(lines: Iterable[Child]) -> Markup:
    return tag("ul", *(tag("li", coded(one)) for one in lines if one), class_="plain")


def coded(words: Child) -> Markup:
    """What stands between backticks as code."""
    if words is None or isinstance(words, Markup):
        return joined([words])
    parts = words.split("`")
    return joined(tag("code", part) if number % 2 else part for number, part in enumerate(parts))


def _line() -> Markup:
    return tag("span", "\u00a0", class_="line-to-write")
