"""How good a model is, how sure one can be of that, and how sure the model may be of itself."""

from compound.evaluation.calibration import (
    ENOUGH,
    Reliability,
    at_a_bound,
    calibrate,
    divide_logits,
    fit_temperature,
    reliability,
)
from compound.evaluation.comparison import Comparison, compare
from compound.evaluation.judge import evaluate
from compound.evaluation.layouts import LAYOUTS, open_layout
from compound.evaluation.predictions import Submission, read_numbers, write_predictions, write_submission
from compound.evaluation.resolutions import recalibrate, saw_little, sweep
from compound.evaluation.result import Evaluation
from compound.evaluation.several import SeveralLabels
from compound.evaluation.statistics import bootstrap, mcnemar, wilson

__all__ = [
    "ENOUGH",
    "LAYOUTS",
    "Comparison",
    "Evaluation",
    "Reliability",
    "SeveralLabels",
    "Submission",
    "at_a_bound",
    "bootstrap",
    "calibrate",
    "compare",
    "divide_logits",
    "evaluate",
    "fit_temperature",
    "mcnemar",
    "open_layout",
    "read_numbers",
    "recalibrate",
    "reliability",
    "saw_little",
    "sweep",
    "wilson",
    "write_predictions",
    "write_submission",
]
