"""What ended a run or held it up."""

import pytest

from engine.doctor import diagnose
from engine.errors import DiskFull, Diverged, JobFailed, OutOfMemory, ProcessDied
from tests.engine.doctor.curves import case, falling


def died(cause="killed by SIGKILL"):
    return ProcessDied("It ended: {cause}.", cause=cause, log="Traceback …").to_record()


def hung():
    return ProcessDied("It hung in “{phase}”.", phase="training", log="").to_record()


HANDED_OVER = ProcessDied("It was told to end.").to_record()
MEMORY = OutOfMemory("{need} MiB are needed.", need=900).to_record()


def diverged(precision="bf16"):
    return Diverged("No number ({loss}).", loss="nan", precision=precision).to_record()


def only(a_case):
    (diagnosis,) = diagnose(a_case)
    return diagnosis


def changes(diagnosis):
    return [dict(remedy.changes) for remedy in diagnosis.remedies]


def test_loss_that_is_no_number_gets_a_lower_rate_a_limit_and_full_precision():
    found = only(case(status="failed", error=diverged()))
    assert (found.key, found.severity) == ("diverged", "error")
    assert str(found.saw) == "No number (nan)."
    assert "bf16" in str(found.cause) and "0.004" in str(found.cause)
    assert changes(found) == [{"learning_rate": 4e-4}, {"clip_norm": 1.0}, {"precision": "fp32"}]


def test_full_precision_is_not_offered_to_who_has_it():
    assert {"precision": "fp32"} not in changes(
        only(case(status="failed", error=diverged("fp32")))
    )  # fmt: skip


def test_run_that_diverged_is_not_also_said_not_to_improve():
    rising = [0.7, 0.9, 1.3, 1.2, 1.5, 1.4, 1.6, 1.5]
    failed = case(rising, [0.0] * 8, status="failed", error=diverged())
    assert [each.key for each in diagnose(failed)] == ["diverged"]


def test_memory_that_ran_out_gets_smaller_batches_and_images():
    found = only(case(status="failed", error=MEMORY))
    assert (found.key, found.severity) == ("out_of_memory", "error")
    assert str(found.saw) == "900 MiB are needed."
    assert changes(found) == [
        {"batch_size": 2, "accumulation": 2},
        {"image_size_px": 128},
        {"width": 8},
    ]


def test_size_that_the_network_cannot_have_is_not_offered():
    """Half of 572 does not pass through five levels without padding."""
    found = only(case(status="failed", error=MEMORY, recipe="paper"))
    assert changes(found) == [{"width": 32}]


def test_run_that_went_on_with_less_memory_is_told_what_was_changed():
    found = only(
        case(
            falling(0.9, 0.1, 12), [0.8] * 12, incidents=[MEMORY, MEMORY],
            adjustments={"batch_size": 1, "accumulation": 4},
        )
    )  # fmt: skip
    assert (found.key, found.severity) == ("out_of_memory", "note")
    assert "batch_size = 1, accumulation = 4" in str(found.saw)
    assert changes(found) == [{"batch_size": 1, "accumulation": 4}]


def test_full_disk_needs_no_other_settings():
    error = DiskFull("{free} MiB are left.", free=3).to_record()
    found = only(case(status="failed", error=error))
    assert (found.key, found.severity) == ("disk_full", "error")
    assert found.remedies == ()
    assert "resume" in str(found.cause)


def test_process_that_was_killed_again_and_again_is_told_even_when_it_went_on():
    found = only(case(incidents=[died(), died()]))
    assert (found.key, found.severity) == ("killed", "warning")
    assert "2; the last one: killed by SIGKILL" in str(found.saw)
    assert "from outside" in str(found.cause)
    assert "Traceback" not in str(found.saw)


def test_process_that_died_for_good_counts_its_last_death():
    found = only(case(status="failed", incidents=[died(), died()], error=died("exit status 139")))
    assert found.severity == "error"
    assert "3; the last one: exit status 139" in str(found.saw)
    assert changes(found) == [{"compiled": "off", "precision": "fp32"}]


def test_process_that_stood_still_is_told_apart():
    found = only(case(status="failed", error=hung()))
    assert "stood still while its phase was “training”" in str(found.saw)
    assert found.remedies == ()


@pytest.mark.parametrize(
    "incidents", [[], [died()], [HANDED_OVER] * 5, [died(), HANDED_OVER, HANDED_OVER]]
)
def test_single_death_and_handing_over_in_good_order_are_no_matter(incidents):
    assert diagnose(case(incidents=incidents)) == []


def test_other_errors_say_themselves_what_to_do():
    error = JobFailed("Something went wrong.").to_record()
    assert diagnose(case(status="failed", error=error)) == []
