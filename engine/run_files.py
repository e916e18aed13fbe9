"""Where the files of a run lie, by their keys in `engine.files`."""


def run_folder(run_id: str) -> str:
    """The folder of a run's files."""
    return f"runs/{run_id}"


def checkpoints_folder(folder: str) -> str:
    """The folder of a run's weights and training states."""
    return f"{folder}/checkpoints"


def best_key(folder: str) -> str:
    """The file of a run's best weights, see `engine.models.weights`."""
    return f"{checkpoints_folder(folder)}/best.safetensors"


def older_best_key(folder: str) -> str:
    """The file of the best weights that the saved state knows of, while there are better ones that
    it does not know yet."""
    return f"{checkpoints_folder(folder)}/older_best.safetensors"


def last_key(folder: str) -> str:
    """The file of a run's last training state, see `engine.training.checkpoint`."""
    return f"{checkpoints_folder(folder)}/last.pt"


def previous_key(folder: str) -> str:
    """The file of the training state before the last."""
    return f"{checkpoints_folder(folder)}/previous.pt"
