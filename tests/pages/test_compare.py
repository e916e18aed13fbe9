"""The Compare page: several runs side by side, and the same image under each of them."""

import pytest

from engine.store.scores import SampleScore
from tests.pages.support import MARKUP, SCORED, figures, links, viewer_panes, words

DIFFERENT_DATASETS = "These runs are on different datasets"
DIFFERENT_IMAGES = "These runs were scored on different images of this split"

BETTER = (
    # Image Dice 18/20 = 0.9 where the other run has 0.667.
    SampleScore(position=0, split="test", tp=(566, 9, 0), fp=(1, 1, 0), fn=(1, 1, 0)),
    # 0.9 and 1: 0.95 where the other run has 0.617; the largest difference.
    SampleScore(position=1, split="test", tp=(560, 9, 2), fp=(1, 1, 0), fn=(1, 1, 0)),
    SampleScore(position=2, split="val", tp=(576, 0, 0), fp=(0, 0, 0), fn=(0, 0, 0)),
    # Found: 1 where the other run has 0, but on an image it was trained on.
    SampleScore(position=3, split="train", tp=(572, 4, 0), fp=(0, 0, 0), fn=(0, 0, 0)),
)


@pytest.fixture
def dataset(add_dataset):
    """As many pictures as have scores."""
    return add_dataset(num_samples=len(SCORED))


@pytest.fixture
def two_runs(dataset, make_runs):
    """One run, and a better one with other settings."""
    return [
        make_runs.ended(dataset, "Plain", scored=SCORED, epochs=5),
        make_runs.ended(dataset, "Better", scored=BETTER, epochs=9, flips="none", num_epochs=3),
    ]


def ids(runs):
    return [run.id for run in runs]


def test_without_a_run_the_page_leads_to_a_training(open_page):
    page = open_page("compare.py")
    assert not page.exception
    assert "Nothing to compare yet" in words(page)
    assert links(page).keys() == {"Start a training"}
    assert not page.multiselect


@pytest.mark.parametrize("num_chosen", [0, 1])
def test_fewer_than_two_runs_are_asked_for_more(open_page, two_runs, num_chosen):
    page = open_page("compare.py", runs=ids(two_runs)[:num_chosen])
    assert not page.exception
    assert page.multiselect(key="compare_runs").value == ids(two_runs)[:num_chosen]
    assert [info.value for info in page.info] == ["Choose at least two runs."]
    assert not page.dataframe
    assert not page.subheader


def test_two_runs_in_the_address_are_compared_by_scores_computed_by_hand(open_page, two_runs):
    page = open_page("compare.py", runs=ids(two_runs))
    assert not page.exception
    scores = page.dataframe[0].value.set_index("label")
    assert list(scores.index) == ["Plain", "Better"]
    assert list(scores["mean_image_dice"]) == pytest.approx([0.641667, 0.925], abs=1e-6)
    # 38/50 and 2/6; 36/40 and 4/4.
    assert list(scores["pooled_dice"]) == pytest.approx([0.546667, 0.95], abs=1e-6)
    assert list(scores["images"]) == [2, 2]
    assert not page.warning
    assert not page.info


def test_unknown_and_repeated_runs_in_the_address_are_ignored(open_page, two_runs):
    first, second = ids(two_runs)
    page = open_page("compare.py", runs=["deadbeef", second, "", "<b>", first, second])
    assert not page.exception
    assert page.multiselect(key="compare_runs").value == [second, first]
    assert list(page.dataframe[0].value["label"]) == ["Better", "Plain"]
    assert not page.error


def test_more_runs_than_fit_are_cut_off(open_page, dataset, make_runs):
    many = [make_runs.ended(dataset) for _ in range(9)]
    page = open_page("compare.py", runs=ids(many))
    assert not page.exception
    assert page.multiselect(key="compare_runs").value == ids(many)[:8]
    assert len(figures(page)["compare_val_dice"]["data"]) == 8


def test_chosen_runs_are_kept_in_the_address(open_page, two_runs):
    page = open_page("compare.py")
    page.multiselect(key="compare_runs").set_value(ids(two_runs)).run()
    assert not page.exception
    assert page.query_params == {"runs": ids(two_runs)}
    assert not page.info
    page.multiselect(key="compare_runs").set_value([]).run()
    assert not page.exception
    assert page.query_params == {}
    assert page.info


def test_split_of_the_scores_can_be_switched(open_page, two_runs):
    page = open_page("compare.py", runs=ids(two_runs))
    assert page.get_by_key("compare_split").value == "test"
    page.get_by_key("compare_split").set_value("train").run()
    assert not page.exception
    assert list(page.dataframe[0].value["mean_image_dice"]) == [0.0, 1.0]
    assert page.query_params["split"] == "train"
    linked = open_page("compare.py", runs=ids(two_runs), split="train")
    assert list(linked.dataframe[0].value["mean_image_dice"]) == [0.0, 1.0]


def test_image_with_the_largest_difference_that_no_run_was_trained_on_comes_first(
    open_page, two_runs
):
    page = open_page("compare.py", runs=ids(two_runs))
    assert not page.exception
    assert page.selectbox(key="compare_image").options == [
        "001 · test · difference 0.333",
        "000 · test · difference 0.233",
        "002 · validation · difference 0.000",
        "003 · training · difference 1.000",
    ]
    panes = viewer_panes(page)
    assert [(pane["title"], pane["note"]) for pane in panes] == [
        ("Plain", "test · Dice 0.617"),
        ("Better", "test · Dice 0.950"),
    ]
    urls = [layer["url"] for layer in panes[1]["layers"] if layer["name"] == "errors"]
    assert [url.partition("?")[0] for url in urls] == [
        f"/api/media/runs/{two_runs[1].id}/errors/000001.png"
    ]
    assert two_runs[0].id not in urls[0]


def test_chosen_image_is_shown_and_kept_in_the_address(open_page, two_runs):
    page = open_page("compare.py", runs=ids(two_runs), image="2")
    assert [pane["note"] for pane in viewer_panes(page)] == ["validation · Dice 1.000"] * 2
    page.selectbox(key="compare_image").set_value(3).run()
    assert not page.exception
    assert [pane["note"] for pane in viewer_panes(page)] == [
        "training · Dice 0.000",
        "training · Dice 1.000",
    ]
    assert page.query_params["image"] == "3"


@pytest.mark.parametrize("image", ["4", "-1", "x"])
def test_image_that_does_not_exist_falls_back_to_the_first(open_page, two_runs, image):
    page = open_page("compare.py", runs=ids(two_runs), image=image)
    assert not page.exception
    assert page.selectbox(key="compare_image").value == 1
    assert not page.error


def test_runs_on_different_datasets_are_warned_about(open_page, dataset, add_dataset, make_runs):
    other = add_dataset("Other", 4, rectangles=False)
    first = make_runs.ended(dataset, scored=SCORED)
    two_classes = [
        SampleScore(position=0, split="test", tp=(500, 10), fp=(10, 0), fn=(0, 10)),
    ]
    second = make_runs.ended(other, scored=two_classes)
    page = open_page("compare.py", runs=[first.id, second.id])
    assert not page.exception
    assert DIFFERENT_DATASETS in words(page)
    assert "Runs on different datasets have no image in common." in words(page)
    assert [list(table.value["label"]) for table in page.dataframe[:2]] == [
        ["Cells quick 1"],
        ["Other quick 1"],
    ]
    assert DIFFERENT_IMAGES not in words(page)
    assert not page.get("bidi_component")


def test_runs_scored_on_different_images_are_warned_about(open_page, dataset, make_runs):
    swapped = [
        SampleScore(
            position=score.position,
            split={"test": "train", "train": "test"}.get(score.split, score.split),
            tp=score.tp,
            fp=score.fp,
            fn=score.fn,
        )
        for score in SCORED
    ]
    chosen = [make_runs.ended(dataset, scored=SCORED), make_runs.ended(dataset, scored=swapped)]
    page = open_page("compare.py", runs=ids(chosen))
    assert not page.exception
    assert DIFFERENT_IMAGES in words(page)
    assert DIFFERENT_DATASETS not in words(page)
    # Every image but one was trained on by one of them; that one comes first.
    options = page.selectbox(key="compare_image").options
    assert options[0].startswith("002 · validation · ")
    assert "000 · test / training · difference 0.000" in options
    on_validation = open_page("compare.py", runs=ids(chosen), split="val")
    assert not on_validation.warning


def test_settings_table_shows_only_what_differs(open_page, two_runs):
    page = open_page("compare.py", runs=ids(two_runs))
    assert not page.exception
    assert page.dataframe[1].value.to_dict("list") == {
        "Setting": ["Flips", "Epochs"],
        "Plain": ["left-right and up-down", "5"],
        "Better": ["none", "9"],
    }
    assert "All settings agree." not in words(page)


def test_equal_settings_are_said_to_agree(open_page, dataset, make_runs):
    chosen = [make_runs.ended(dataset, scored=SCORED) for _ in range(2)]
    page = open_page("compare.py", runs=ids(chosen))
    assert not page.exception
    assert "All settings agree." in words(page)
    assert len(page.dataframe) == 1


def test_each_curve_has_one_line_per_run_in_its_colour(open_page, two_runs):
    page = open_page("compare.py", runs=ids(two_runs))
    assert not page.exception
    plots = figures(page)
    assert plots.keys() == {"compare_val_dice", "compare_train_loss", "compare_val_loss"}
    for plot in plots.values():
        assert [line["name"] for line in plot["data"]] == ["Plain", "Better"]
        assert [line["line"]["color"] for line in plot["data"]] == ["#0072b2", "#e69f00"]
    assert plots["compare_train_loss"]["data"][1]["x"] == [1, 2, 3]
    assert "(256×256 px)" in words(page)


def test_runs_at_different_sizes_have_no_common_size_note(open_page, dataset, make_runs):
    chosen = [make_runs.ended(dataset), make_runs.ended(dataset, image_size_px=64)]
    page = open_page("compare.py", runs=ids(chosen))
    assert not page.exception
    assert figures(page)
    assert "at training size" not in words(page)


def test_runs_without_scores_say_when_scores_come(open_page, dataset, make_runs):
    chosen = [make_runs.running(dataset, num_epochs=2), make_runs.queued(dataset)]
    page = open_page("compare.py", runs=ids(chosen))
    assert not page.exception
    assert "No run has been scored yet" in words(page)
    assert "No image has been scored by these runs yet." in words(page)
    assert figures(page)["compare_val_dice"]["data"][0]["y"] == pytest.approx([0.6, 0.7])
    assert not page.get("bidi_component")


def test_run_without_scores_does_not_hide_those_of_the_other(open_page, dataset, make_runs):
    scored = make_runs.ended(dataset, "Scored", scored=SCORED)
    waiting = make_runs.queued(dataset, "Waiting")
    page = open_page("compare.py", runs=[scored.id, waiting.id])
    assert not page.exception
    assert list(page.dataframe[0].value["label"]) == ["Scored"]
    assert [pane["title"] for pane in viewer_panes(page)] == ["Scored"]
    assert not page.warning


def test_runs_of_the_same_name_are_told_apart(open_page, dataset, make_runs):
    chosen = [make_runs.ended(dataset, "Twin", scored=SCORED) for _ in range(2)]
    page = open_page("compare.py", runs=ids(chosen))
    assert not page.exception
    labels = [f"Twin ({run.id})" for run in chosen]
    assert list(page.dataframe[0].value["label"]) == labels
    assert [pane["title"] for pane in viewer_panes(page)] == labels
    assert "Twin" not in labels


def test_names_with_markup_are_shown_as_they_are(open_page, dataset, make_runs):
    chosen = [make_runs.ended(dataset, MARKUP, scored=SCORED), make_runs.ended(dataset, "Other")]
    page = open_page("compare.py", runs=ids(chosen))
    assert not page.exception
    assert viewer_panes(page)[0]["title"] == MARKUP
    names = [line["name"] for line in figures(page)["compare_val_dice"]["data"]]
    assert names == ["**a** &lt;b&gt;x&lt;/b&gt; [l](http://x) :smile: $x$", "Other"]
    assert MARKUP not in words(page)
