"""The study: Optuna's record of what is planned, running, trained and failed.

The only importer of optuna. One process at a time writes it, which a lock on the study's
directory sees to.
"""

from scalesearch.studies.artifacts import clear_ends, read_losses
from scalesearch.studies.journal import (
    JOURNAL,
    STUDY_NAME,
    StudyLocked,
    cut_torn_tail,
    locked,
)
from scalesearch.studies.study import Study
from scalesearch.studies.tables import (
    Status,
    in_words,
    read_curves,
    read_history,
    read_status,
    read_trials,
    with_networks,
)

__all__ = [
    "JOURNAL",
    "STUDY_NAME",
    "Status",
    "Study",
    "StudyLocked",
    "clear_ends",
    "cut_torn_tail",
    "in_words",
    "locked",
    "read_curves",
    "read_history",
    "read_losses",
    "read_status",
    "read_trials",
    "with_networks",
]
