"""What a run was computed with, whatever the machine is like."""

import importlib.metadata
import json
import subprocess
import sys

import pynvml
import pytest

from engine.environment import UNKNOWN, commit_of, environment
from tests.conftest import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def checkout(folder, head, **files):
    """A folder with the files of git that name its commit."""
    git = folder / ".git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text(head + "\n")
    for name, text in files.items():
        path = git / name.replace("__", "/").replace("_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_environment_says_versions_and_hardware_as_json():
    found = json.loads(json.dumps(environment()))
    assert found["python"] == sys.version.split()[0]
    assert found["torch"] == importlib.metadata.version("torch")
    assert found["numpy"] == importlib.metadata.version("numpy")
    assert found["cores"] >= 1 and found["memory_gib"] > 0
    assert {"system", "host", "processor", "gpus", "driver", "commit"} <= found.keys()


def test_environment_loads_no_torch():
    script = "import sys; from engine.environment import environment; environment(); "
    script += "print('torch' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.strip() == "False", ended.stderr


def test_library_that_is_missing_is_none(monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert environment()["torch"] is None


def test_driver_that_fails_is_unknown(monkeypatch):
    def fail():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: None)
    monkeypatch.setattr("engine.environment.gpu_handles", fail)
    found = environment()
    assert (found["gpus"], found["driver"]) == (UNKNOWN, UNKNOWN)


def test_gpus_are_named(monkeypatch):
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda gpu: f"GPU {gpu}")
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: "550.1")
    monkeypatch.setattr("engine.environment.gpu_handles", lambda: [0, 1])
    found = environment()
    assert (found["gpus"], found["driver"]) == (["GPU 0", "GPU 1"], "550.1")


def test_commit_is_the_one_git_names():
    asked = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if asked.returncode:
        pytest.skip("this is no checkout")
    assert commit_of(ROOT) == asked.stdout.strip()


@pytest.mark.parametrize(
    "head, files",
    [
        (COMMIT, {}),
        ("ref: refs/heads/main", {"refs__heads__main": COMMIT + "\n"}),
        ("ref: refs/heads/main", {"packed_refs": f"# pack-refs\n{COMMIT} refs/heads/main\n"}),
    ],
    ids=["detached", "branch", "packed branch"],
)
def test_commit_is_read_from_the_files_of_git(tmp_path, head, files):
    assert commit_of(checkout(tmp_path, head, **files)) == COMMIT


def test_commit_of_a_further_working_tree_is_found_with_the_first(tmp_path):
    checkout(tmp_path / "first", "ref: refs/heads/main", refs__heads__side=COMMIT)
    own = tmp_path / "first" / ".git" / "worktrees" / "second"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/side\n")
    (own / "commondir").write_text("../..\n")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / ".git").write_text(f"gitdir: {own}\n")
    assert commit_of(tmp_path / "second") == COMMIT


def test_commit_is_unknown_where_git_says_nothing(tmp_path):
    assert commit_of(tmp_path) == UNKNOWN
    assert commit_of(checkout(tmp_path / "empty", "ref: refs/heads/main")) == UNKNOWN
    torn = {"packed_refs": "\n\nhalf a line"}
    assert commit_of(checkout(tmp_path / "torn", "ref: refs/heads/main", **torn)) == UNKNOWN
    odd = checkout(tmp_path / "odd", "")
    (odd / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    assert commit_of(odd) == UNKNOWN
