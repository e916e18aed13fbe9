"""Training settings: one validated, versioned `TrainConfig` made of small parts, and the recipes.

`parts` says what there is to set, `train_config` what goes together, `recipes` what is set at
once, `auto` what suits a dataset, `advice` what is in vain, `rates` how the learning rate goes,
`parsing` how values are written.
"""

from engine.config.advice import doubtful_settings, ignored_settings, steps_per_epoch
from engine.config.auto import Proposal, propose
from engine.config.parsing import (
    bounds,
    choices,
    is_list,
    is_optional,
    leaf_fields,
    parse_config,
    parse_part,
    parts,
    problem_sentence,
    with_changes,
)
from engine.config.parts import (
    AUGMENT_PRESETS,
    ENCODERS,
    AugmentConfig,
    ComputeConfig,
    ImageConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    Part,
    PredictConfig,
    ScheduleConfig,
    SplitConfig,
)
from engine.config.profile import DatasetProfile, Machine
from engine.config.rates import preview, rate_at, virtual_epochs
from engine.config.recipes import DEFAULT_RECIPE, RECIPES, recipe
from engine.config.sizes import is_unpadded, output_size
from engine.config.train_config import CONFIG_VERSION, RecipeName, TrainConfig

__all__ = [
    "AUGMENT_PRESETS",
    "CONFIG_VERSION",
    "DEFAULT_RECIPE",
    "ENCODERS",
    "RECIPES",
    "AugmentConfig",
    "ComputeConfig",
    "DatasetProfile",
    "ImageConfig",
    "LossConfig",
    "Machine",
    "ModelConfig",
    "OptimizerConfig",
    "Part",
    "PredictConfig",
    "Proposal",
    "RecipeName",
    "ScheduleConfig",
    "SplitConfig",
    "TrainConfig",
    "bounds",
    "choices",
    "doubtful_settings",
    "ignored_settings",
    "is_list",
    "is_optional",
    "is_unpadded",
    "leaf_fields",
    "output_size",
    "parse_config",
    "parse_part",
    "parts",
    "preview",
    "problem_sentence",
    "propose",
    "rate_at",
    "recipe",
    "steps_per_epoch",
    "virtual_epochs",
    "with_changes",
]
