"""What is said of files that are not read."""

import pytest

from engine.datasets.pairing import propose
from engine.errors import BadData

IMAGES = [f"images/{number}.png" for number in range(3)]

UNREAD = [
    ("labels/{}.nii.gz", ".nii.gz (3)", "NIfTI"),
    ("labels/{}.NII", ".nii (3)", "NIfTI"),
    ("masks/{}.npy", ".npy (3)", "NumPy"),
    ("masks/{}.npz", ".npz (3)", "NumPy"),
    ("images/{}.json", ".json (3)", "outlines"),
    ("images/{}.xml", ".xml (3)", "outlines"),
    ("tables/{}.csv", ".csv (3)", "run lengths"),
    ("masks/{}.dcm", ".dcm (3)", "DICOM"),
    ("masks/{}.jp2", ".jp2 (3)", "JPEG 2000"),
    ("masks/{}.pgm", ".pgm (3)", "PGM"),
]
ADVICES = {says for _, _, says in UNREAD}


@pytest.mark.parametrize(("file", "counted", "says"), UNREAD)
@pytest.mark.parametrize("images", [[], IMAGES], ids=["no pictures", "no pairs"])
def test_the_refusal_names_what_is_not_read_and_what_to_do(
    images: list[str], file: str, counted: str, says: str
) -> None:
    names = [*images, *(file.format(number) for number in range(3))]
    with pytest.raises(BadData) as caught:
        propose([*names, "__MACOSX/._x.npy", "masks/.hidden.jp2"])
    message = str(caught.value)
    assert f"Files of other kinds are not read: {counted}." in message
    assert says in message
    assert "PNG" in caught.value.facts["advice"]
    assert not any(other in message for other in ADVICES - {says})


def test_the_most_frequent_kinds_come_first_and_each_family_is_advised_once() -> None:
    names = ["a.npy", "b.npy", "c.npz", "README", "d.txt"]
    with pytest.raises(BadData) as caught:
        propose([*IMAGES, *names])
    facts = caught.value.facts
    assert facts["unread"] == ".npy (2), without suffix (1), .npz (1), .txt (1)"
    assert facts["advice"].count("NumPy") == 1


def test_a_refusal_without_other_files_says_nothing_of_them() -> None:
    with pytest.raises(BadData) as caught:
        propose(IMAGES)
    assert "not read" not in str(caught.value)
    assert "Pictures: 3;" in str(caught.value)


def test_a_mask_of_a_kind_that_is_not_read_is_a_doubt_where_its_image_has_none() -> None:
    pairs = [*IMAGES, "masks/0.png", "masks/1.png"]
    doubts = propose([*pairs, "masks/2.jp2"]).proposals[0].doubts
    assert [".jp2 (1)" in str(doubt) for doubt in doubts] == [True]
    assert propose([*pairs, "notes.json"]).proposals[0].doubts == ()
    assert propose([*pairs, "masks/2.png", "masks/2.npy"]).proposals[0].doubts == ()
