"""One job: its run as it goes, and what may be done with it."""

from __future__ import annotations

from experiments.coordinator.job_queue import RUNNING, WAITING, Job, Standing
from experiments.pages.coordinator.overview import job_badge, job_name, moment_of
from experiments.pages.run_page import Around, run_page
from experiments.pages.sheet import banner, document, form, heading, live
from server.reporting.markup import Child, Markup, tag
from server.reporting.wording import count

STOP_WORDS = (
    "The round under way is lost; all finished rounds stay. It can be gone on with from the last of them, here or by "
    "wardround submit --resume."
)
RESUME_WORDS = "It goes on from its last finished round, behind the jobs that wait already."
BY_ITSELF = "The coordinator's program begins it again by itself."
BY_HAND = "It can be gone on with: see below."
CHANGED_DATA = "Go on though patients came or left in a hospital: whoever trained stays in training."


def job_page(job: Job, standing: Standing, is_to_stop: bool, proof: str, said: str = "", look: str = "good") -> str:
    """The HTML. said: what came of the last form."""
    back = tag("nav", tag("a", "← All of this coordinator", href="../"), aria_label="Back")
    above: tuple[Child, ...] = (back, banner(look, said) if said else None)
    below = (live("job", _standing(job, standing, is_to_stop)), live("do", _deeds(job, standing, is_to_stop, proof)))
    events, moment = f"{job.id}/events", moment_of(job)
    if moment is not None:
        goes_on = BY_ITSELF if standing.state in (RUNNING, WAITING) else BY_HAND
        return run_page(moment, Around(job_name(job), events, f"{job.id}/", above, below, goes_on))
    top = live("top", heading(job_name(job), job_badge(standing), events), tag("h1", job.name))
    words = "It waits for its turn." if standing.state == WAITING else "Nothing of its run is on the disk yet."
    main = tag("main", *above, top, tag("p", words, class_="finding"), *below)
    return document(f"{job_name(job)}, Wardround", main)


def _standing(job: Job, standing: Standing, is_to_stop: bool) -> Markup:
    tries = f", begun {count(len(standing.attempts), 'time')}" if standing.attempts else ""
    asked = f", asked for on {job.asked[:16].replace('T', ' ')} UTC" if job.asked else ""
    reason = f" {standing.reason}" if standing.reason else ""
    stopping = " It is being stopped." if is_to_stop and not standing.is_over else ""
    return tag("p", f"{job_name(job)}, is {standing.state}{asked}{tries}.{reason}{stopping}", class_="lede")


def _deeds(job: Job, standing: Standing, is_to_stop: bool, proof: str) -> Markup | None:
    if standing.state in (RUNNING, WAITING) and not is_to_stop:
        return tag(
            "details",
            tag("summary", "Stop this job …", id="open-stop"),
            tag("p", STOP_WORDS, class_="lede"),
            form(f"{job.id}/stop", proof, tag("button", "Stop it now", type="submit", class_="danger", id="stop")),
        )
    if standing.state not in ("stopped", "failed"):
        return None
    return tag(
        "details",
        tag("summary", "Go on with it …", id="open-resume"),
        tag("p", RESUME_WORDS, class_="lede"),
        form(
            f"{job.id}/resume",
            proof,
            tag(
                "label",
                tag("input", type="checkbox", name="accepts", value="yes"),
                tag("span", CHANGED_DATA),
                class_="check",
            ),
            tag("button", "Go on", type="submit", class_="primary", id="resume"),
        ),
    )
