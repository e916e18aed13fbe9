"""What mask values mean: learned once over a whole dataset, then applied to each mask.

survey_mask (per file) → MaskStatistics → learn_masks → MaskPlan → MaskReader (per file)
"""

from engine.datasets.masks.colors import BACKGROUND_COLOR, CLASS_COLORS, class_color
from engine.datasets.masks.learn import Learned, learn_masks, plan_as
from engine.datasets.masks.reader import MaskReader, ReadMask
from engine.datasets.masks.rules import class_entries
from engine.datasets.masks.statistics import MaskStatistics, ValueStatistics, View
from engine.datasets.masks.survey import MaskSurvey, count_classes, count_values, survey_mask
from engine.datasets.masks.suspicions import suspicions

__all__ = [
    "BACKGROUND_COLOR",
    "CLASS_COLORS",
    "Learned",
    "MaskReader",
    "MaskStatistics",
    "MaskSurvey",
    "ReadMask",
    "ValueStatistics",
    "View",
    "class_color",
    "class_entries",
    "count_classes",
    "count_values",
    "learn_masks",
    "plan_as",
    "survey_mask",
    "suspicions",
]
