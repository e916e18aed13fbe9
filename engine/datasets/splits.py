"""Which samples are trained on, validated on and tested on."""

import numpy as np

from engine.config import SplitConfig
from engine.errors import BadData
from engine.store.runs import Split


def assign_split(num_samples: int, config: SplitConfig) -> Split:
    """Divide sample positions into train, val and test; the same input gives the same split.

    Every position is in exactly one part, in ascending order. There is always at least one
    training and one validation sample, and with a test share and three samples or more at least
    one test sample.

    * “random” takes the shares of a shuffle, rounded.
    * “interleaved” holds out the last of every n positions, n being one over the shares' sum,
      rounded, and at least 2; validation and test samples alternate among them.

    Raises:
        BadData: there are fewer than two samples.
    """
    if num_samples < 2:
        raise BadData(
            "The dataset has {num} sample; at least 2 are needed, one to train on and one to "
            "validate on. Import more.",
            num=num_samples,
        )
    with_test = config.test_share > 0 and num_samples >= 3
    if config.split_method == "interleaved":
        val, test = _interleaved(num_samples, config, with_test)
    else:
        val, test = _random(num_samples, config, with_test)
    held_out = {*val, *test}
    train = [position for position in range(num_samples) if position not in held_out]
    return {"train": train, "val": sorted(val), "test": sorted(test)}


def _random(num_samples: int, config: SplitConfig, with_test: bool) -> tuple[list[int], list[int]]:
    num_val = max(1, round(num_samples * config.val_share))
    num_test = max(1, round(num_samples * config.test_share)) if with_test else 0
    while num_val + num_test >= num_samples:
        if num_test >= num_val:
            num_test -= 1
        else:
            num_val -= 1
    generator = np.random.Generator(np.random.PCG64(config.split_seed))
    shuffled: list[int] = generator.permutation(num_samples).tolist()
    return shuffled[:num_val], shuffled[num_val : num_val + num_test]


def _interleaved(
    num_samples: int, config: SplitConfig, with_test: bool
) -> tuple[list[int], list[int]]:
    test_share = config.test_share if with_test else 0.0
    held_share = config.val_share + test_share
    step = max(2, round(1 / held_share))
    held_out = list(range(step - 1, num_samples, step))
    num_needed = 2 if with_test else 1
    if len(held_out) < num_needed:
        held_out = [ordinal - 1 for ordinal in _spread(num_needed, num_samples)]
    num_test = 0
    if with_test:
        num_test = round(len(held_out) * test_share / held_share)
        num_test = min(max(num_test, 1), len(held_out) - 1)
    test = {held_out[ordinal - 1] for ordinal in _spread(num_test, len(held_out))}
    return [position for position in held_out if position not in test], sorted(test)


def _spread(num: int, total: int) -> list[int]:
    """`num` of the numbers 1…total, evenly spread, the last one among them."""
    return [-(-ordinal * total // num) for ordinal in range(1, num + 1)]
