"""What goes into a network comes out, or is refused with the sizes that would."""

import pytest

from engine.config import ModelConfig, is_unpadded, output_size
from engine.config.sizes import nearest_sizes

PAPER = ModelConfig(num_levels=5, padding="none")


def output_by_hand(model: ModelConfig, size: int) -> int | None:
    """Layer by layer, as the network computes."""
    levels = range(model.num_levels - 1)

    def convolved(size: int) -> int:
        for _ in range(model.convs_per_level):
            size = size - model.kernel_size + 1
        return size

    for _ in levels:
        size = convolved(size)
        if size < 1 or size % model.pool_size:
            return None
        size //= model.pool_size
    size = convolved(size)
    for _ in levels:
        size = convolved(size * model.pool_size)
    return size if size >= 1 else None


def test_paper_turns_572_px_into_388():
    assert output_size(PAPER, 572) == 388


@pytest.mark.parametrize("num_levels", [2, 3, 5])
@pytest.mark.parametrize("convs_per_level", [1, 2, 3])
@pytest.mark.parametrize(("kernel_size", "pool_size"), [(1, 2), (3, 2), (3, 3), (5, 2), (5, 4)])
def test_size_without_padding_is_that_of_the_layers(
    num_levels, convs_per_level, kernel_size, pool_size
):
    model = ModelConfig(
        num_levels=num_levels,
        convs_per_level=convs_per_level,
        kernel_size=kernel_size,
        pool_size=pool_size,
        padding="none",
    )
    found = [output_size(model, size) for size in range(1, 600)]
    assert found == [output_by_hand(model, size) for size in range(1, 600)]


def test_padding_keeps_every_size():
    model = ModelConfig(num_levels=5)
    assert not is_unpadded(model)
    assert [output_size(model, size) for size in (1, 17, 256)] == [1, 17, 256]


def test_padding_is_a_matter_of_the_u_net_alone():
    model = ModelConfig(architecture="fpn", padding="none")
    assert not is_unpadded(model)
    assert output_size(model, 100) == 100


@pytest.mark.parametrize("size", [1, 100, 187, 188, 189, 572, 573, 2048])
def test_nearest_sizes_fit_and_nothing_between_does(size):
    sizes = nearest_sizes(PAPER, size)
    assert all(output_size(PAPER, each) for each in sizes)
    low, high = sizes[0] if sizes[0] <= size else 0, sizes[-1]
    between = [each for each in range(low + 1, high) if output_size(PAPER, each)]
    assert between == []


def test_size_that_fits_is_its_own_neighbour():
    assert nearest_sizes(PAPER, 572) == (572, 572)
