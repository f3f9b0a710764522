"""Numbers and names as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

NOTHING = "\u2013"
MINUS = "\u2212"
TIMES = "\u00d7"
SPACE = "\u00a0"

SCORE_NAMES = {
    "dice": "Dice",
    "iou": "IoU",
    "r2": "R\u00b2",
    "mae": "MAE",
    "rmse": "RMSE",
    "brier": "Brier score",
    "c_index": "c-index",
    "calibration_error": "calibration error",
    "auc": "AUC",
    "roc_auc": "ROC AUC",
    "psnr": "PSNR in dB",
    "gain": "gain in dB",
    "range_psnr": "PSNR of what it can make in dB",
    "composition": "composition in grey levels",
    "ssim": "SSIM",
    "nmse": "NMSE",
    "hfen": "HFEN",
    "hd95": "HD95 in mm",
    "hd95_voxels": "HD95 in voxels",
    "missed": "structures missed or invented",
    "dice_before": "Dice before",
    "folded": "share of space folded",
    "loss": "loss",
    "hd": "HD in mm",
    "assd": "ASSD in mm",
    "masd": "MASD in mm",
    "surface_dice": "surface Dice",
    "f05": "F0.5",
    "f1": "F1",
    "f2": "F2",
    "epe_mm": "error of the displacement in mm",
    "kappa": "Cohen's kappa",
    "explained": "share of loss explained",
    "effective_rank": "effective rank of features",
    "spread": "spread of features",
    "projection_spread": "spread of projections",
    "answer_spread": "spread of answers",
}
SCORE_MEANINGS = {
    "dice": "how well the predicted area and the true area overlap: 1 is a perfect match, 0 none at all",
    "iou": "the overlap of predicted and true area, divided by their union: 1 is a perfect match",
    "hd95": "how far apart predicted and true outlines lie, in mm, but for the worst 5 % of them: 0 is perfect",
    "hd": "the farthest that any point of one outline lies from the other, in mm: 0 is perfect",
    "assd": "how far predicted and true outlines lie apart on average, in mm, over both together: 0 is perfect",
    "masd": "as ASSD, the two directions averaged with equal weight, in mm: 0 is perfect",
    "surface_dice": "the share of both outlines that lies within the tolerance of the other: 1 is perfect",
    "sensitivity": "of what is truly there, the share that was found: 1 is perfect",
    "specificity": "of what is truly absent, the share that was left out: 1 is perfect",
    "precision": "of what was found, the share that is truly there: 1 is perfect",
    "recall": "of what is truly there, the share that was found: 1 is perfect",
    "f05": "precision and recall in one number, precision counting more: 1 is perfect",
    "f1": "precision and recall in one number, both counting alike: 1 is perfect",
    "f2": "precision and recall in one number, recall counting more: 1 is perfect",
    "kappa": "agreement beyond what chance alone gives: 1 is perfect, 0 is chance",
    "epe_mm": "how far the estimated displacement lies from the known one on average, in mm: 0 is perfect",
    "folded": "the share of space that the transform folds over itself: 0 is what anatomy demands",
    "missed": "of the structures drawn by one of the two, the share that the other lacks: 0 is perfect",
    "skill": "how much nearer the answers are than always answering the study's center: 1 is perfect, 0 no nearer",
    "r2": "the share of the targets' variance that the model explains: 1 is perfect, 0 explains nothing",
    "mae": "how far answers lie from the truth on average, in the target's unit: 0 is perfect",
    "rmse": "as MAE, large errors counting more, in the target's unit: 0 is perfect",
    "psnr": "how far images lie from the true ones, in dB of what their values may span: 100 counts as perfect",
    "range_psnr": "how near the generator comes to true images that it is shown, in dB: no search finds a nearer one "
    "before its weights move",
    "ssim": "how alike image and true image are in brightness, contrast and structure, in small windows: 1 is all",
    "nmse": "the squared error as a share of the true image's energy: 0 is perfect, 1 is an empty image",
    "gain": "PSNR less that of the image that the data give by themselves, in dB: below 0 learning made it worse",
    "hfen": "the error of fine detail as a share of the true image's detail: 0 is perfect, 1 shows none of it",
    "sharpness": "how steep an image is beside the true one: 1 is as sharp, less is blurred, more is noisy",
    "likelihood": "the chance that the model gave to what was seen of a case, on average: 1 is perfect",
    "c_index": "of pairs of patients of one hospital, how often who was given the higher risk had the event first: "
    "1 is perfect, 0.5 is guessing",
    "loss": "what training makes small; smaller is better, and it compares only with the loss of the same study",
    "brier": "how far predicted chances lie from what happened, squared: 0 is perfect",
    "calibration_error": "how far predicted chances lie from how often they came true, on average: 0 is perfect",
    "accuracy": "the share of cases that are classified correctly",
    "balanced_accuracy": "the share of correctly classified cases, averaged over the classes",
    "fidelity": "the share of an image's variance that is there again where it is made of what the model abducted",
    "composition": "how far an image lies from itself made again, in grey levels of 255: 0 is perfect",
    "explained": "how much of the loss of a model that learned nothing is gone: 1 is all, 0 none, less is worse",
    "effective_rank": "in how many directions features of cases differ, of 12 numbers summed of each: 1 is one",
    "spread": "how far features of cases lie from their mean, all of unit length: at 0 all cases are one",
    "projection_spread": "the same of what the loss compares: at 0 all cases are one to it",
    "answer_spread": "the same of what the loss compares: at 0 all cases are one to it",
    "auc": "the chance that a sick case is ranked above a healthy one: 1 is perfect, 0.5 is guessing",
}


def score_name(key: str) -> str:
    """A score's name in a sentence."""
    return SCORE_NAMES.get(key, key.replace("_", " ")) or "score"


def named(name: str, classes: Sequence[str]) -> str:
    """A score's name with a capital, that of the class it is of in the place of its number."""
    base, _, index = name.rpartition("_")
    if not base or not (index.isascii() and index.isdigit()) or int(index) >= len(classes):
        return capital(score_name(name))
    return f"{capital(score_name(base))} of {classes[int(index)]}"


def score(value: float | None) -> str:
    """Three decimals, or four significant digits where the number is large."""
    if value is None:
        return NOTHING
    return f"{value:.3f}".replace("-0.000", "0.000") if abs(value) < 10 else f"{value:.4g}"


def plain(value: float) -> str:
    """A number on an axis."""
    return f"{value:g}".replace("-", MINUS)


def difference(value: float | None) -> str:
    """With its sign, a true minus."""
    if value is None:
        return NOTHING
    text = score(abs(value))
    if float(text) == 0:
        return text
    return ("+" if value > 0 else MINUS) + text


def size(amount: float) -> str:
    """Bytes in the unit that leaves one to three digits before the point; 1 kB is 1000 bytes."""
    units = ("bytes", "kB", "MB", "GB", "TB")
    power = 0
    while power < len(units) - 1 and round(amount, 1 if power else 0) >= 1000:
        amount, power = amount / 1000, power + 1
    digits = 0 if power == 0 or amount >= 100 else 1
    return f"{amount:.{digits}f}{SPACE}{units[power]}"


def duration(seconds: float | None) -> str:
    """Milliseconds to hours, two units at most."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f}{SPACE}ms"
    if seconds < 60:
        return f"{seconds:.1f}{SPACE}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{SPACE}min {whole % 60}{SPACE}s"
    return f"{whole // 3600}{SPACE}h {whole % 3600 // 60}{SPACE}min"


def percent(share: float) -> str:
    """A share of one; a decimal below 10 %."""
    amount = 100 * share
    return f"{amount:.1f}{SPACE}%" if 0 < amount < 9.95 else f"{amount:.0f}{SPACE}%"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 hospital`, `12,345 hospitals`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(words: Sequence[str], most: int = 6) -> str:
    """`a, b and c`; from `most` on `a, b and 5 more`."""
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def shortened(text: str, most: int) -> str:
    """At most `most` characters, the last an ellipsis where some were cut."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def capital(sentence: str) -> str:
    """The first letter large, the rest as it is."""
    return sentence[:1].upper() + sentence[1:]
