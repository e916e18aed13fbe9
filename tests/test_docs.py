"""The documents say what is there: settings, commands, files."""

import re
from pathlib import Path

import pytest

from engine.__main__ import _parser
from engine.settings import Settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_environment_variable_is_documented():
    documented = (ROOT / "docs" / "operations.md").read_text()
    for name in Settings.for_home(Path("home")).to_environment():
        assert f"`{name}`" in documented


def test_every_command_is_documented_and_no_other():
    documented = (ROOT / "docs" / "command-line.md").read_text()
    there = set(re.findall(r"^    (\w+)\b", _parser().format_help(), re.MULTILINE))
    assert "train" in there
    assert set(re.findall(r"^python -m engine (\w+)", documented, re.MULTILINE)) == there


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_a_document_links_to_exists(document):
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target
