"""The plots: how many lines, which colours, how wide."""

from dataclasses import replace

import pytest

from pages.common import charts
from tests.pages.support import epoch_record

RECORDS = [epoch_record(number, num_classes=3) for number in (1, 2, 3)]


def names(figure):
    return [trace.name for trace in figure.data]


def test_loss_has_a_line_for_training_and_one_for_validation():
    figure = charts.loss_curves(RECORDS, num_planned=20)
    assert names(figure) == ["training", "validation"]
    assert list(figure.data[0].x) == [1, 2, 3]
    assert list(figure.data[0].y) == [1.0, 0.5, 1 / 3]
    assert figure.data[0].line.color != figure.data[1].line.color


@pytest.mark.parametrize("num_planned, end", [(20, 20), (3, 3), (0, 3)])
def test_plot_is_as_wide_as_the_training_will_be(num_planned, end):
    figure = charts.loss_curves(RECORDS, num_planned)
    assert figure.layout.xaxis.range == (0, pytest.approx(end * 1.02))


def test_dice_has_a_line_for_the_mean_and_for_every_class_in_its_colour(dataset):
    figure = charts.dice_curves(RECORDS, dataset, num_planned=3)
    assert names(figure) == ["mean image Dice", "background", "class 1", "class 2"]
    assert [line.line.color for line in figure.data[2:]] == ["#E69F00", "#56B4E9"]
    # Background is black in masks, which a dark page would swallow.
    assert figure.data[1].line.color == "#8c8c8c"
    assert [line.line.dash for line in figure.data] == [None, "dot", None, None]
    assert figure.layout.yaxis.range == (0, 1.02)


def test_with_one_foreground_class_its_dice_is_the_mean(add_dataset):
    binary = add_dataset(rectangles=False)
    records = [epoch_record(number, num_classes=2) for number in (1, 2)]
    figure = charts.dice_curves(records, binary, num_planned=2)
    assert names(figure) == ["background", "foreground"]


def test_last_best_epoch_is_marked(dataset):
    records = [*RECORDS[:2], replace(RECORDS[2], is_best=False)]
    (line,) = charts.dice_curves(records, dataset, num_planned=3).layout.shapes
    assert line.x0 == 2
    none_best = [replace(record, is_best=False) for record in RECORDS]
    assert not charts.dice_curves(none_best, dataset, num_planned=3).layout.shapes


def test_class_that_never_occurs_leaves_a_gap(dataset):
    records = [replace(record, val_class_dice=(0.9, None, 0.5)) for record in RECORDS]
    figure = charts.dice_curves(records, dataset, num_planned=3)
    assert list(figure.data[2].y) == [None, None, None]


def test_every_run_of_a_comparison_has_a_line_in_its_own_colour():
    curves = {f"Run {number}": ([1, 2], [0.1, 0.2]) for number in range(8)}
    figure = charts.run_curves("Loss", curves, is_share=False)
    assert names(figure) == list(curves)
    assert len({line.line.color for line in figure.data}) == 8
    assert figure.layout.yaxis.range is None


def test_run_without_epochs_has_an_empty_line():
    figure = charts.run_curves("Dice", {"A": ([], []), "B": ([1, 2], [0, 1])}, is_share=True)
    assert list(figure.data[0].x) == []
    assert figure.layout.xaxis.range == (0, pytest.approx(2.04))
    assert charts.run_curves("Dice", {"A": ([], [])}, is_share=True).layout.xaxis.range[1] > 0


def test_colours_of_runs_begin_anew_after_the_last():
    assert charts.run_color(len(charts.RUN_COLORS)) == charts.run_color(0)
    assert len(set(charts.RUN_COLORS)) == len(charts.RUN_COLORS)


def test_name_with_html_is_no_html_in_a_plot(dataset):
    named = [replace(entry, name="<b>&</b>") for entry in dataset.classes]
    figure = charts.dice_curves(RECORDS, replace(dataset, classes=tuple(named)), num_planned=3)
    assert "&lt;b&gt;&amp;&lt;/b&gt;" in names(figure)
    curves = charts.run_curves("Loss", {"<i>a</i>": ([1], [1])}, is_share=False)
    assert names(curves) == ["&lt;i&gt;a&lt;/i&gt;"]


def test_iou_has_a_line_for_every_class_where_it_was_recorded(dataset):
    figure = charts.iou_curves(RECORDS, dataset, num_planned=3)
    assert names(figure) == ["mean image IoU"]
    measured = [replace(record, val_class_iou=(0.9, None, 0.5)) for record in RECORDS]
    figure = charts.iou_curves(measured, dataset, num_planned=3)
    assert names(figure) == ["mean image IoU", "background", "class 1", "class 2"]
    assert list(figure.data[2].y) == [None, None, None]


def test_names_of_many_classes_do_not_lie_over_the_plot(dataset):
    few = charts.dice_curves(RECORDS, dataset, num_planned=3)
    classes = [replace(dataset.classes[1], index=index) for index in range(12)]
    records = [replace(record, val_class_dice=(0.5,) * 12) for record in RECORDS]
    many = charts.dice_curves(records, replace(dataset, classes=tuple(classes)), num_planned=3)
    assert few.layout.showlegend
    assert not many.layout.showlegend
    assert len(many.data) == 13


def test_small_plot_shows_shares_in_per_cent():
    figure = charts.epoch_curve(RECORDS, "Waiting", [0.1, None, 0.3], 20, is_share=True)
    assert list(figure.data[0].y) == [0.1, None, 0.3]
    assert figure.layout.yaxis.tickformat == ".0%"
    assert figure.layout.xaxis.range[1] > 20
    plain = charts.epoch_curve(RECORDS, "Pace", [1, 2, 3], 20)
    assert plain.layout.yaxis.tickformat is None
    assert plain.layout.height < charts.loss_curves(RECORDS, 20).layout.height


def test_loss_that_explodes_does_not_press_the_rest_of_the_rate_curve_flat():
    rates, losses = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1], [0.7, 0.65, 0.4, 300.0, float("nan")]
    figure = charts.rate_curve(rates, losses, 5e-4)
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.yaxis.range[0] < 0.4
    assert 0.7 < figure.layout.yaxis.range[1] < 2
    (line,) = figure.layout.shapes
    assert line.x0 == 5e-4
    assert not charts.rate_curve(rates, losses, None).layout.shapes


def test_preview_of_the_learning_rate_goes_from_end_to_end():
    figure = charts.rate_preview([(0.0, 0.001), (10.0, 0.004), (20.0, 0.0)])
    assert list(figure.data[0].x) == [0.0, 10.0, 20.0]
    assert figure.data[0].mode == "lines"
    assert not figure.layout.showlegend
