"""The learning rate over a training, as its settings alone give it. No torch: pages draw it too.

Schedules count in virtual epochs, the share of the training that is done times the number of
epochs: a time budget stretches or shrinks every schedule as a whole.
"""

import math

from engine.config.parts import OptimizerConfig, ScheduleConfig

_LOWEST_WARMUP = 0.01
"""Share of the peak at which a warm-up begins; from 0 the first step would do nothing."""
_ONE_CYCLE_RISE = 0.3
_ONE_CYCLE_START, _ONE_CYCLE_END = 1 / 25, 1e-4
"""Shares of the training and of the peak."""
_ROUNDING = 1e-9
"""Of an epoch: 29 of 100 epochs, as a share of the training, are 28.999999999999996."""


def virtual_epochs(schedule: ScheduleConfig, progress: float) -> float:
    """Epochs of the schedule that have passed when a share of the training, 0 to 1, is done."""
    return progress * schedule.epochs


def rate_at(config: OptimizerConfig, schedule: ScheduleConfig, progress: float) -> float:
    """The learning rate when a share of the training is done.

    “plateau” depends on the validation too; here it is as if every validation were better than
    all before.

    Args:
        progress: 0 at the start, 1 at the end.
    """
    return config.learning_rate * _share_of_peak(config, schedule, progress)


def preview(
    config: OptimizerConfig, schedule: ScheduleConfig, num_points: int = 200
) -> list[tuple[float, float]]:
    """The whole schedule as (virtual epoch, learning rate), evenly spaced, both ends included.

    Args:
        num_points: at least 2.
    """
    shares = (index / (num_points - 1) for index in range(num_points))
    return [(virtual_epochs(schedule, share), rate_at(config, schedule, share)) for share in shares]


def _share_of_peak(config: OptimizerConfig, schedule: ScheduleConfig, progress: float) -> float:
    decays = virtual_epochs(schedule, progress) / config.lr_decay_epochs
    if config.lr_schedule == "step":
        return math.pow(config.lr_decay, math.floor(decays + _ROUNDING))
    if config.lr_schedule == "exponential":
        return math.pow(config.lr_decay, decays)
    if config.lr_schedule == "cosine":
        return _cosine(config.warmup_share, progress)
    if config.lr_schedule == "one_cycle":
        return _one_cycle(progress)
    return 1.0


def _cosine(warmup_share: float, progress: float) -> float:
    """SGDR without restarts (arXiv 1608.03983, equation 5), after a linear warm-up."""
    if progress < warmup_share:
        return max(progress / warmup_share, _LOWEST_WARMUP)
    return _eased(1.0, 0.0, (progress - warmup_share) / (1 - warmup_share))


def _one_cycle(progress: float) -> float:
    """Up and down once (arXiv 1708.07120), each way along half a cosine."""
    if progress < _ONE_CYCLE_RISE:
        return _eased(_ONE_CYCLE_START, 1.0, progress / _ONE_CYCLE_RISE)
    return _eased(1.0, _ONE_CYCLE_END, (progress - _ONE_CYCLE_RISE) / (1 - _ONE_CYCLE_RISE))


def _eased(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine, level at both."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
