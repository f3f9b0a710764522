"""The command that makes an image of what was measured of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.files import access as files
from common.study.plugins import ANYTHING, trusting
from experiments.commands._study_text import TrustCode, code_of_folder
from experiments.commands._terminal import console, spoken_errors


def reconstruct(
    given: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="Data: .npy, .h5 or NIfTI, complex k-space with its middle in the middle. Or an image."
        ),
    ],
    operator: Annotated[
        str | None, typer.Option(help="What was measured: a name of `wardround list operators`, a module or a file.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Options: --set acceleration=4 of the operator, --set method.iterations=200."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            help="What the operator must know of the data: mask=FILE, point_spread=FILE, sensitivities=FILE."
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="fista if not given, or another of `wardround list methods`; deep_image_prior; from_data, without a "
            "prior; learned, the model of --run."
        ),
    ] = None,
    prior: Annotated[
        str | None, typer.Option(help="tv if not given, or another of `wardround list regularisers`.")
    ] = None,
    weight: Annotated[
        str,
        typer.Option(
            help="Of the prior, for images from 0 to 1; auto: what the noise allows (discrepancy principle), or the "
            "corner of the L-curve where it is not known."
        ),
    ] = "auto",
    run: Annotated[
        Path | None, typer.Option(help="A run folder or bundle whose task reconstructs: its model is the method.")
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="IN is a true image: measure it first, and compare with it.")
    ] = False,
    noise: Annotated[
        float | None, typer.Option(help="Standard deviation of the noise in each number of the data, in IN's unit.")
    ] = None,
    photons: Annotated[
        float | None,
        typer.Option(
            help="In the place of --noise, of simulated projections: what a detector counts without a body."
        ),
    ] = None,
    attenuation: Annotated[
        float, typer.Option(help="With --photons: of a pixel of the data range's full value.")
    ] = 0.02,
    phase: Annotated[float, typer.Option(help="Of a simulated complex image: how far it turns, in radians.")] = 1.5,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    size: Annotated[str, typer.Option(help="Of the image, 128x128, where it does not follow from the data.")] = "",
    slices: Annotated[
        int | None, typer.Option(help="The axis of IN, from 0, that counts images, each reconstructed by itself.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="The true image of measured data, to compare with.")] = None,
    data_range: Annotated[
        float | None, typer.Option(help="What the image's values may span, as 1 or 255; scores are counted in it.")
    ] = None,
    dataset: Annotated[str, typer.Option(help="Which of several data sets of an .h5 file.")] = "",
    at_least_zero: Annotated[
        bool, typer.Option("--at-least-zero", help="No value of the image may be below 0 (real images).")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the image here: NIfTI, .npy or .h5.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write how and how well here.")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw image, errors and phase here: a page .html, or .png.")
    ] = None,
    trust_code: TrustCode = False,
) -> None:
    """Make an image of what was measured of it: k-space, projections, blurred, masked, noisy or small images.

    It is the image that fits the data and is likely by a prior, or what a run's model makes of the data. With
    --simulate a true image is measured first and compared with. A research tool, not a medical device.
    """
    with (
        spoken_errors("Interrupted; nothing was written."),
        trusting(code_of_folder(trust_code) if run is not None else ANYTHING),
    ):
        from experiments.reconstructing.asked import Asked
        from experiments.reconstructing.command import reconstruct as reconstructed

        files.demand_writable(out, json_file, figure)
        asked = Asked(
            given=given,
            operator=operator,
            settings=tuple(settings or ()),
            parameters=tuple(parameter or ()),
            method=method,
            prior=prior,
            weight=weight,
            run=run,
            simulate=simulate,
            noise=noise,
            photons=photons,
            attenuation=attenuation,
            phase=phase,
            seed=seed,
            size=size,
            slices=slices,
            truth=truth,
            data_range=data_range,
            dataset=dataset,
            at_least_zero=at_least_zero,
        )
        reconstructed(asked, console, out, json_file, figure)
