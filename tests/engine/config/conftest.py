"""A dataset that is nothing special."""

from engine.config import DatasetProfile

PROFILE = DatasetProfile(
    num_train=200,
    num_val=30,
    num_test=30,
    num_channels=1,
    class_names=("background", "cell"),
    background=(True, False),
    class_share=(0.7, 0.3),
    sides_px=(200.0, 256.0, 300.0),
    object_px=30.0,
)
