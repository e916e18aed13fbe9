"""What cannot be done is said in one sentence, and nothing of it remains."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from engine.config import recipe
from engine.jobs.queue import submit_training
from engine.store import attempts, datasets, runs


@pytest.fixture(scope="module")
def home(make_home, tmp_path_factory):
    """A home with a dataset, a run that has ended without scores, and nobody to work."""
    made = make_home(tmp_path_factory.mktemp("bad") / "home", "external")
    dataset_id = made.add_dataset()
    config = recipe("tutorial")
    submit_training(made.workbench, dataset_id, config, name="ended", actor="test")
    job = attempts.claim(made.database, ["train"], "cpu")
    error = {"type": "X", "message": "x", "facts": {}}
    attempts.finish(made.database, job, "failed", error=error)
    return made


@pytest.fixture
def refused(home):
    """`refused(*arguments)`: the sentence with which a command is refused."""

    def refused(*arguments):
        before = state(home)
        ended = home.command(*arguments)
        assert ended.returncode == 1, ended.stderr
        assert ended.stdout == ""
        assert ended.stderr.count("\n") == 1
        assert "Traceback" not in ended.stderr
        assert ended.stderr.endswith((".\n", "”\n"))
        assert ended.stderr[0].isupper() or ended.stderr[0] in "-“"
        assert state(home) == before
        return ended.stderr

    return refused


def state(home):
    """Everything a refused command must leave as it was."""
    return (
        sorted(path.name for path in (home.path / "datasets").rglob("*")),
        [dataset.id for dataset in datasets.all_newest_first(home.database)],
        [(run.id, run.status) for run in runs.all_newest_first(home.database)],
    )


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


IMAGE = png(np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8))
MASK = png(np.eye(8, dtype=np.uint8))
SMALL_MASK = png(np.eye(5, dtype=np.uint8))

ARCHIVES = {
    "empty": ({}, "holds no files"),
    "no pair": ({"readme.txt": b"hello"}, ""),
    "masks without images": ({"masks/a.png": MASK}, ""),
    "truncated image": ({"images/a.png": IMAGE[:60], "masks/a.png": MASK}, "images/a.png"),
    "not an image": ({"images/a.png": b"no picture", "masks/a.png": MASK}, "images/a.png"),
    "different sizes": ({"images/a.png": IMAGE, "masks/a.png": SMALL_MASK}, "5×5"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archive_that_cannot_be_used_is_refused(refused, tmp_path, name):
    members, named = ARCHIVES[name]
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    assert named in refused("import", path, "--json")


def test_file_that_is_no_zip_is_refused_by_name(refused, tmp_path):
    path = tmp_path / "notes.zip"
    path.write_text("this is not a zip")
    assert "notes.zip" in refused("import", path)


def test_file_that_is_not_there_is_refused_by_name(refused, tmp_path):
    assert "nowhere.zip" in refused("import", tmp_path / "nowhere.zip")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "nobody's"], "“nobody's”"),
        (["train", "toy", "--recipe", "best"], "auto, quick, tutorial"),
        (["train", "toy", "--set", "epochs=0"], "Epochs (epochs) is '0'; it must be"),
        (["train", "toy", "--set", "nonsense=1"], "no setting “nonsense”"),
        (["train", "toy", "--set", "epochs"], "has no “=”"),
        (["train", "toy", "--set", "learning_rate=nan"], "(learning_rate) is 'nan'"),
        (["train", "toy", "--name", "x" * 201], "201 characters"),
        (["stop", "ended"], "already failed"),
        (["stop", "nobody's"], "“nobody's”"),
        (["scores", "ended"], "has no scores; it is failed"),
        (["scores", "ended", "--split", "val"], "no scores for the val split"),
        (["scores", "nobody's"], "“nobody's”"),
        (["show", "nobody's"], "“nobody's”"),
        (["toy", "--out", "/nowhere/toy.zip"], "/nowhere/toy.zip cannot be written"),
    ],
)
def test_wish_that_cannot_be_met_is_refused(refused, arguments, named):
    assert named in refused(*arguments)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WORKBENCH_HOME", "/dev/null/home"),
        ("WORKBENCH_DATABASE_URL", "nonsense"),
        ("WORKBENCH_WORKER", "sometimes"),
    ],
)
def test_environment_that_cannot_be_used_is_refused(refused, home, monkeypatch, variable, value):
    monkeypatch.setitem(home.environment, variable, value)
    assert value in refused("runs") or variable in refused("runs")
