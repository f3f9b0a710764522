"""A run as it goes: how it stands in a sentence, hospital by hospital, its scores, and what was lost and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.data.names import SiteId
from experiments.pages.moment import Moment, Site, Standing
from experiments.pages.sheet import badge, banner, bulleted, contents, document, heading, live, tiles
from server.live_file import State
from server.reporting.collapse import collapse_of
from server.reporting.curves import Curves, evaluation_curves, training_mean
from server.reporting.losses import Losses
from server.reporting.markup import Child, Markup, joined, table, tag
from server.reporting.records import Round
from server.reporting.sections.collapse import alarm, collapse
from server.reporting.sections.layout import section
from server.reporting.sections.learning import learning
from server.reporting.sections.participation import participation
from server.reporting.sections.promise import in_short
from server.reporting.sections.traffic import departures
from server.reporting.summary import bytes_moved
from server.reporting.tally import Tally, tally_of
from server.reporting.wording import NOTHING, capital, count, duration, listed, score, score_name, size

BADGES: dict[Standing, tuple[str, str]] = {
    "starting": ("note", "Starting"),
    "running": ("good", "Running"),
    "silent": ("bad", "No sign of life"),
    "finishing": ("note", "Rounds done, report being written"),
    "completed": ("good", "Completed"),
    "stopped": ("warn", "Stopped"),
    "failed": ("bad", "Failed"),
    "unknown": ("warn", "State not known"),
}
STATE_WORDS: dict[State, str] = {
    "asked": "at work",
    "replied": "replied",
    "dropped": "dropped",
    "waiting": "not asked yet",
    "idle": "not drawn this round",
}
MOST_ROWS, LAST_ROUNDS = 100, 10


@dataclass(frozen=True)
class Around:
    """What is another where a run stands on a coordinator's page. kind: of page. events, documents: their addresses.

    above, below: what stands over the title, and after the opening. go_on: how a run that ended early goes on.
    """

    kind: str = "Live run"
    events: str = "events"
    documents: str = ""
    above: tuple[Child, ...] = ()
    below: tuple[Child, ...] = ()
    go_on: Child = None


def run_page(moment: Moment, around: Around | None = None) -> str:
    """The HTML. around: of a run on this machine, where not given."""
    around = around or Around()
    about = moment.run.about
    name = about.title or about.study or moment.run.name
    main = tag(
        "main",
        *around.above,
        live(
            "top",
            heading(around.kind, badge(*_badge(moment)), around.events),
            tag("h1", name),
            _opening(moment, around),
        ),
        *around.below,
        contents(("Hospitals", "hospitals"), ("Scores", "scores"), ("Rounds", "took-part"), ("What left", "bytes")),
        *run_sections(moment),
        tag("footer", "Run folder ", tag("code", str(moment.folder.resolve()))),
    )
    return document(f"{_short(moment)} {name}, Wardround", main)


def run_sections(moment: Moment) -> Sequence[Markup]:
    """What stands below a run's opening."""
    nothing_yet = tag("p", "Nothing yet: it is shown from the first finished round on.", class_="quiet")
    return (
        live("hospitals", _hospitals(moment)),
        live("scores", learning(moment.run) or section("learning", "How the model learned", nothing_yet)),
        live("told-apart", collapse(moment.run)),
        live(
            "took-part", participation(moment.run) or section("rounds", "Who took part", nothing_yet), _last(moment)
        ),
        live("bytes", departures(moment.run) or section("left", "What left each hospital", nothing_yet)),
    )


def _badge(moment: Moment) -> tuple[str, str]:
    look, word = BADGES[moment.standing]
    if collapse_of(moment.run).collapsed:
        return "bad", f"{word}, collapsed"
    if moment.standing == "completed" and Losses(moment.run).grave:
        return "warn", "Completed, with problems"
    return look, word


def _short(moment: Moment) -> str:
    """For the tab: how far it is."""
    planned = moment.run.about.rounds_planned
    named = f"{_badge(moment)[1]}: "
    word = {"running": "", "starting": "… "}.get(moment.standing, named)
    word = named if collapse_of(moment.run).collapsed else word
    return f"{word}{moment.run.rounds_done}/{planned if planned is not None else '?'}"


def _opening(moment: Moment, around: Around) -> Markup:
    run = moment.run
    planned = run.about.rounds_planned
    bar = (
        tag("progress", max=planned, value=min(run.rounds_done, planned), aria_label="rounds done")
        if planned
        else None
    )
    problems = [banner("warn", problem) for problem in run.problems]
    return joined(
        [
            tag("p", finding(moment), class_="finding"),
            bar,
            alarm(run) if run.rounds else None,
            _trouble(moment, around.go_on),
            *problems,
            _lost(moment),
            _tiles(moment),
            tag("p", in_short(run.privacy), class_="lede") if run.privacy is not None else None,
            _links(moment, around.documents),
        ]
    )


def finding(moment: Moment) -> str:
    """How the run stands, in sentences."""
    run, standing = moment.run, moment.standing
    planned = run.about.rounds_planned
    done = f"{run.rounds_done} of {planned} rounds are done" if planned else f"{count(run.rounds_done, 'round')} done"
    if standing == "starting":
        return f"It waits for its hospitals: {_expected(moment)}.{_refusing(moment)}"
    if standing == "running" and moment.live is not None:
        if moment.live.phase == "evaluating":
            return f"All rounds are done; {moment.live.stage or 'what follows them'} is under way. {_score(moment)}"
        return f"Round {moment.round} of {planned or '?'}. {_replies(moment)} {_score(moment)}"
    if standing == "finishing":
        return f"{done}. Pictures and report follow. {_score(moment)}"
    if standing == "silent":
        return f"Its program has ended without a word; {done}. {_score(moment)}"
    return f"{capital(done)}. {_score(moment)}"


def _expected(moment: Moment) -> str:
    about = moment.run.about
    there = () if moment.live is None else moment.live.sites.keys()
    expected = max(about.hospitals_expected, len(about.sites_expected))
    if not there:
        return (
            f"{count(expected, 'hospital')} expected, and not all have answered yet"
            if expected
            else "none is there yet"
        )
    missing = [site for site in about.sites_expected if site not in there]
    return f"{len(there)} of {max(expected, len(there))} are there" + (
        f", still missing: {listed(missing)}" if missing else ""
    )


def _refusing(moment: Moment) -> str:
    """Who was asked and refuses for now: the page's reader can telephone."""
    refused = {} if moment.live is None else moment.live.refused
    told = [f" {site} refuses, and is asked again: {why}." for site, why in refused.items()]
    more = f" {len(told) - MOST_ROWS} more refuse." if len(told) > MOST_ROWS else ""
    return "".join(told[:MOST_ROWS]) + more


def _replies(moment: Moment) -> str:
    """Who has replied, who is late."""
    assert moment.live is not None
    sites = moment.live.sites
    asked = [site for site, one in sites.items() if one.state in ("asked", "replied", "dropped")]
    replied = [site for site in asked if sites[site].state == "replied"]
    late = [site for site in asked if moment.is_late(site)]
    if not asked:
        return "No hospital has been asked yet."
    words = f"{len(replied)} of {count(len(asked), 'hospital')} replied"
    return f"{words}; late: {listed(late)}." if late else f"{words}."


def _score(moment: Moment) -> str:
    headline = moment.run.about.headline
    known = [(x, y) for x, y in evaluation_curves(moment.run, headline).pooled if y is not None]
    if not headline or not known:
        return ""
    split = evaluation_curves(moment.run, headline).split
    return f"{capital(score_name(headline))} {score(known[-1][1])} on {split} patients after round {known[-1][0]:g}."


def _trouble(moment: Moment, go_on: Child) -> Markup | None:
    """Why it does not go on, and what to do."""
    about = moment.run.about
    go_on = go_on or joined(["Go on with: ", tag("code", f"wardround resume {moment.folder}")])
    if moment.standing == "silent":
        assert moment.live is not None
        gone = duration(moment.now - moment.live.at)
        words = (
            f"The last sign of life came {gone} ago: it was killed, or its machine is off or out of disk or memory. "
        )
        return banner("bad", tag("p", words + "What finished rounds wrote is whole. ", go_on))
    if moment.standing in ("stopped", "failed"):
        look = "warn" if moment.standing == "stopped" else "bad"
        return banner(look, tag("p", f"{about.reason or 'No reason was recorded.'} "), tag("p", go_on))
    if moment.standing == "unknown":
        return banner("warn", "It had not ended when its folder was last written, and an older program wrote it.")
    return tag("p", about.ended_early, class_="lede") if about.ended_early else None


def _lost(moment: Moment) -> Markup | None:
    """What was lost so far, with the reason."""
    losses = Losses(moment.run)
    lines = (*losses.grave, *(one.sentence for one in losses.cases))
    if moment.standing in ("starting",) or not lines:
        return None
    more = len(lines) - 8
    shown = [*lines[:8], *([f"and {more} more, in summary.json when the run has ended"] if more > 0 else [])]
    return banner("warn", tag("b", "Lost so far" if moment.is_fresh else "Lost"), bulleted(shown))


def _tiles(moment: Moment) -> Markup:
    run = moment.run
    moved, headline = bytes_moved(run), run.about.headline or "loss"
    known = [y for _, y in evaluation_curves(run, headline).pooled if y is not None]
    loss = training_mean(run.rounds[-1], "loss") if run.rounds else None
    planned = run.about.rounds_planned
    pairs = [(f"{run.rounds_done} of {planned}" if planned else f"{run.rounds_done}", "rounds done")]
    if known:
        pairs.append((score(known[-1]), score_name(headline)))
    if loss is not None:
        pairs.append((score(loss), "training loss"))
    pairs += [(size(moved["sent"]), "to hospitals"), (size(moved["received"]), "back from them"), _time(moment)]
    if (left := _left_s(moment)) is not None:
        pairs.append((f"about {duration(left)}", "left at this pace"))
    return tiles(*pairs)


def _time(moment: Moment) -> tuple[str, str]:
    if moment.standing in ("running", "starting") and moment.live is not None:
        return duration(max(0.0, moment.now - moment.live.begun)), "gone"
    return duration(moment.run.about.seconds), "in all"


def _left_s(moment: Moment) -> float | None:
    pace = [one.seconds.get("total", 0.0) for one in moment.run.rounds[-5:]]
    planned = moment.run.about.rounds_planned
    if moment.standing != "running" or not pace or planned is None or planned <= moment.run.rounds_done:
        return None
    return (planned - moment.run.rounds_done) * sum(pace) / len(pace)


def _links(moment: Moment, documents: str) -> Markup | None:
    names = {"report.html": ("report", "Report of the run"), "audit.html": ("audit", "Audit: what leaked")}
    there = [tag("a", words, href=documents + href) for name, (href, words) in names.items() if name in moment.has]
    if moment.standing in ("running", "starting"):
        return None
    return tag("nav", *there, aria_label="Documents of the run") if there else None


def _hospitals(moment: Moment) -> Markup:
    run = moment.run
    names = list(dict.fromkeys([*run.sites, *(() if moment.live is None else moment.live.sites)]))
    if not names:
        lede = "None has introduced itself yet. They are shown as they come."
        return section("who", "Hospitals", lede)
    names.sort(key=lambda name: _rank(moment, name))
    name = capital(score_name(run.about.headline or "loss"))
    goes_on = moment.standing in ("running", "starting")
    now = ["Now", "Since", "Last reply took"] if goes_on else ["In the last round"]
    head = ["Hospital", *now, "Training loss", name, "Rounds used", "Sent back"]
    shown = names[:MOST_ROWS]
    more = (
        f" Of {len(names)} the first {MOST_ROWS}, those in trouble before others." if len(names) > MOST_ROWS else ""
    )
    lede = "Who is asked, who has replied, and who is late and why." if goes_on else "Who did what, up to the end."
    curves, tally = evaluation_curves(run, run.about.headline or "loss"), tally_of(run.rounds)
    rows = [_row(moment, site, curves, tally) for site in shown]
    return section("who", "Hospitals", lede + more, table(head, rows, words=3 if goes_on else 2))


def _rank(moment: Moment, name: SiteId) -> tuple[int, int]:
    if moment.live is None or name not in moment.live.sites:
        return (1, 0)
    return (0 if moment.is_late(name) or moment.live.sites[name].state == "dropped" else 1, 0)


def _row(moment: Moment, site: SiteId, curves: Curves, tally: Tally) -> list[Child]:
    run, last = moment.run, moment.run.rounds[-1] if moment.run.rounds else None
    one = None if moment.live is None else moment.live.sites.get(site)
    loss = last.training.get(site, {}).get("loss") if last is not None else None
    known = [y for _, y in curves.sites.get(site, ()) if y is not None]
    used, asked = tally.contributed.get(site, 0), tally.selected.get(site, 0)
    moved = run.traffic.sites.get(site, {}).get("received")
    took = NOTHING if one is None else duration(one.seconds)
    goes_on = moment.standing in ("running", "starting")
    return [
        site,
        *((*_now(moment, site, one, last), took) if goes_on else (_then(site, last),)),
        score(loss),
        score(known[-1] if known else None),
        f"{used} of {asked}",
        NOTHING if moved is None else size(moved),
    ]


def _now(moment: Moment, site: SiteId, one: Site | None, last: Round | None) -> tuple[Child, Child]:
    """What it does, and since when or why."""
    if moment.standing not in ("running", "starting") or one is None:
        return _then(site, last), NOTHING
    since = f"{duration(max(moment.now - one.since, 0.0))} ago"
    if moment.is_late(site):
        return badge("warn", "late"), moment.lateness(site)
    if one.state == "asked":
        return "at work", moment.lateness(site)
    if one.state == "dropped":
        return badge("bad", "dropped"), f"{since}: {one.reason}" if one.reason else since
    if moment.standing == "starting":
        return badge("good", "there"), since
    words = STATE_WORDS[one.state]
    return (badge("good", words) if one.state == "replied" else words), (since if one.state == "replied" else NOTHING)


def _then(site: SiteId, last: Round | None) -> Child:
    """What a hospital did in the last finished round."""
    if last is None:
        return NOTHING
    drop = next((one for one in last.dropped if one.site == site and site not in last.contributed), None)
    if drop is not None:
        return joined([badge("bad", "dropped"), f" {drop.reason}"])
    if site in last.contributed:
        return f"used in round {last.number}"
    return f"not drawn in round {last.number}" if site not in last.selected else f"not used in round {last.number}"


def _last(moment: Moment) -> Markup | None:
    """The last rounds, the newest first."""
    rounds = moment.run.rounds[-LAST_ROUNDS:][::-1]
    if not rounds:
        return None
    headline = moment.run.about.headline or "loss"
    at = dict(evaluation_curves(moment.run, headline).pooled)
    head = ["Round", "Hospitals used", "Training loss", f"{capital(score_name(headline))} after it", "Time", "Bytes"]
    rows = [
        [
            f"{one.number}",
            f"{len(one.contributed)} of {len(one.selected)}",
            score(training_mean(one, "loss")),
            score(at.get(float(one.number))),
            duration(one.seconds.get("total")),
            size(one.sent + one.received),
        ]
        for one in rounds
    ]
    return tag("div", tag("h3", f"The last {count(len(rows), 'round')}, the newest first"), table(head, rows))
