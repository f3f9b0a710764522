"""The exceptions of this project.

WardroundError
+-- StudyError             a study says what cannot be run
|   +-- UnknownNameError   a name or option that does not exist; says the nearest one
+-- SourceError            data is absent, or not what its source expects
|   +-- DownloadError      a file could not be fetched, or is not the pinned one
+-- FileError              a file is absent, damaged, too large, or not what and where it must be
|   +-- AbsentFileError      nothing has its name
+-- ImageError             an image, a label map or a transform cannot be read, or does not fit another
+-- WireError              something that arrived failed a check
|   +-- BeyondRangeError   too many of a hospital's values lie beyond the range of a sum
+-- RefusedError         a hospital will not do what it was asked, for a reason that may be seen
+-- HospitalError          a hospital could not answer; its text never leaves the hospital
|   +-- DataChangedError   a hospital's data are not those that the run began with
|   +-- LedgerError        a hospital's ledger of privacy spending is damaged, changed or cannot be written
|   +-- UnwrittenError     a hospital's own folder cannot be written now
+-- RoundError             a round cannot be completed
|   +-- TooFewHospitalsError
+-- GraphError             a causal graph or model that cannot be, or a question that it cannot be asked
+-- AnalysisError          hospitals' sums have no answer to what was asked
+-- AttributionError       a network cannot be explained in the way that was asked
+-- EngineError            processes could not be started or reached
|   +-- LastingError         and as things are set up they never will be
+-- DeviceError            a device to compute on that does not exist, or not here
+-- BudgetSpentError       a hospital's own limit of privacy spending forbids a release
|   +-- RoundsSpentError   a study was answered as often as it has rounds
"""

from __future__ import annotations

from pathlib import Path

LONGEST_QUOTE = 200


class WardroundError(Exception):
    """Base of every error this project raises on purpose."""


class StudyError(WardroundError):
    """A study says what cannot be run."""


class UnknownNameError(StudyError):
    """A name or option that does not exist."""


class SourceError(WardroundError):
    """Data is absent, or not what its source expects."""


class DownloadError(SourceError):
    """A file could not be fetched, or is not the pinned one."""


class FileError(WardroundError):
    """A file is absent, damaged, too large, or not what and where it must be. `reason` says so without its path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.args[0]} {self.reason}."


class AbsentFileError(FileError):
    """Nothing has the file's name: neither a file, nor a link, nor anything else."""


class ImageError(WardroundError):
    """An image, a label map or a transform cannot be read, or does not fit another."""


class LayerSizeError(WardroundError, ValueError):
    """A layer or an image cannot be of such a size."""


class WireError(WardroundError):
    """Something that arrived failed a check. The text is ours: it never quotes what arrived."""


class BeyondRangeError(WireError):
    """Too many of a hospital's values lie beyond the range of a sum: what is cut would tell of what is not."""


class RefusedError(WardroundError):
    """A hospital will not do what it was asked. reason: of `common.wire.refusals`, which anybody may see."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class HospitalError(WardroundError):
    """A hospital could not answer."""


class DataChangedError(HospitalError):
    """A hospital's data are not those that the run began with. Says nothing of any patient."""


class LedgerError(HospitalError):
    """A hospital's ledger of privacy spending is damaged, changed or cannot be written."""


class UnwrittenError(HospitalError):
    """A hospital's own folder cannot be written now, as on a full disk: it can once somebody made room."""


class RoundError(WardroundError):
    """A round cannot be completed."""


class DivergedError(RoundError):
    """A round's step gave a model that is no longer finite."""


class TooFewHospitalsError(RoundError):
    """Fewer hospitals replied than the study demands. causes: of each that did not, for whoever has not heard yet."""

    def __init__(self, found: str, causes: str = "") -> None:
        super().__init__(f"{found} {causes}" if causes else found)
        self.found = found


class GraphError(WardroundError):
    """A causal graph or model that cannot be, such as one with a cycle, or a question that it cannot be asked."""


class AnalysisError(WardroundError):
    """Hospitals' sums have no answer to what was asked, such as the mean of nobody."""


class AttributionError(WardroundError):
    """A network cannot be explained in the way that was asked."""


class OutOfTimeError(AttributionError):
    """The seconds are over that an explanation was given."""


class EngineError(WardroundError):
    """Processes could not be started or reached."""


class LastingError(EngineError):
    """A program will not start as it is set up; trying again does not help."""


LASTING = 78
"""EX_CONFIG of sysexits.h: exit status of what no restart mends (systemd: RestartPreventExitStatus=78)."""


class DeviceError(WardroundError):
    """A device to compute on that does not exist, or not on this machine."""


class BudgetSpentError(WardroundError):
    """A hospital's own limit of privacy spending forbids a release. Says nothing of any patient."""


class RoundsSpentError(BudgetSpentError):
    """A hospital released as many rounds of a private study as it agreed to."""


def first_line(error: BaseException) -> str:
    """What a library's error says, as far as a line of ours can quote it."""
    return str(error).strip().partition("\n")[0][:LONGEST_QUOTE]
