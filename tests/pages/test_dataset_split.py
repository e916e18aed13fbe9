"""What the page promises of a new version is what the version has."""

import pytest

from engine.config import SplitConfig
from engine.datasets.plan import GroupPlan
from engine.datasets.versions import Change, derive
from engine.errors import BadSetting
from engine.store import datasets
from pages.common import dataset_findings, dataset_split, dataset_versions
from tests.pages.support import ACTOR


@pytest.fixture
def made(workbench, dataset):
    """Makes a version and returns its samples."""

    def made(change, of=dataset):
        version = derive(workbench, of.id, change, name="New", actor=ACTOR)
        return datasets.samples(workbench.database, version.id)

    return made


@pytest.fixture
def samples(workbench, dataset):
    return datasets.samples(workbench.database, dataset.id)


@pytest.mark.parametrize("method", dataset_split.METHODS)
@pytest.mark.parametrize("groups", [None, GroupPlan(by="pattern", pattern=r"0(\d)[0-3]|(\d)$")])
def test_split_that_is_tried_out_is_the_one_that_is_made(samples, made, method, groups):
    config = SplitConfig(split_method=method, num_folds=2, test_share=0.25)
    assignment, named = dataset_split.outcome(samples, config, groups)
    after = made(Change(split=config, groups=groups))
    assert [sample.split for sample in after] == list(assignment.split)
    assert [sample.fold for sample in after] == list(assignment.fold)
    assert [sample.group for sample in after] == named


def test_kept_split_is_as_promised(samples, made):
    held_out = next(sample.position for sample in samples if sample.split == "test")
    for change in (Change(leave_out=(held_out,)), Change(to_train=(held_out,))):
        promised = dataset_versions.split_after(change, samples)
        assert [sample.split for sample in made(change)] == promised


def test_swap_exchanges_the_pixels_that_are_foreground(workbench, add_dataset, made):
    binary = add_dataset(rectangles=False)
    before = datasets.samples(workbench.database, binary.id)
    change = dataset_findings.swapped(binary)
    after = made(change, binary)
    (version,) = datasets.corrections_of(workbench.database, binary.id)
    (foreground,) = [entry for entry in version.classes if not entry.background]
    assert [s.class_pixels[foreground.index] for s in after] == [s.class_pixels[0] for s in before]
    assert dataset_findings.swapped(version) is not None


def test_stored_split_as_positions_covers_every_sample_once(samples):
    split = dataset_split.split_of(samples)
    assert sorted(p for positions in split.values() for p in positions) == list(range(8))
    assert all(samples[p].split == name for name in split for p in split[name])


def test_pattern_that_is_none_is_a_sentence(samples):
    broken = GroupPlan(by="pattern", pattern="(((")
    with pytest.raises(BadSetting):
        dataset_split.outcome(samples, SplitConfig(split_method="random"), broken)


def test_groups_are_counted_with_the_samples_that_have_none():
    assert dataset_split.groups_sentence([], 8) == "No groups: every sample stands alone."
    assert dataset_split.groups_sentence([3, 1200], 1300) == (
        "2 groups, the largest with 1,200 samples; 97 samples alone."
    )
