"""The exception tree is the one that is drawn, and every message can be written out."""

import ast
import json
import re
import string
from pathlib import Path

import pytest

from engine import errors
from engine.errors import BadSetting, Diverged, WorkbenchError

ENGINE = Path(errors.__file__).parent


def classes():
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }


def drawn_parents():
    """`{class: parent}` as the module docstring draws it."""
    parents, path = {}, []
    for line in errors.__doc__.splitlines():
        found = re.match(r"    (?P<branches>[│├└─ ]*)(?P<name>[A-Z]\w+)\b", line)
        if found:
            depth = len(found["branches"]) // 4
            path[depth:] = [found["name"]]
            parents[found["name"]] = path[depth - 1] if depth else "Exception"
    return parents


def test_every_class_stands_where_the_docstring_draws_it():
    assert drawn_parents() == {name: kind.__base__.__name__ for name, kind in classes().items()}


def test_every_class_of_the_tree_is_caught_as_a_workbench_error():
    assert all(issubclass(kind, WorkbenchError) for kind in classes().values())


def test_message_is_the_template_with_its_facts():
    error = BadSetting("{title} is {value}; it must be {expected}.", title="Epochs", value=0,
                       expected="at least 1")  # fmt: skip
    assert str(error) == "Epochs is 0; it must be at least 1."
    assert error.facts == {"title": "Epochs", "value": 0, "expected": "at least 1"}


def test_facts_with_braces_are_written_as_they_are():
    assert str(BadSetting("There is no setting “{name}”.", name="{x}")) == (
        "There is no setting “{x}”."
    )


def test_record_survives_json_and_makes_the_same_sentence():
    error = Diverged("The loss is {value} in epoch {epoch}.", value="nan", epoch=3)
    record = json.loads(json.dumps(error.to_record()))
    assert record == {
        "type": "Diverged",
        "message": "The loss is {value} in epoch {epoch}.",
        "facts": {"value": "nan", "epoch": 3},
    }
    again = WorkbenchError(record["message"], **record["facts"])
    assert str(again) == str(error)


def raised_messages():
    """Every `SomeError("literal", fact=…)` in the engine: place, template, names of its facts."""
    found = []
    for path in sorted(ENGINE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id not in classes() or not node.args:
                continue
            gives_all = all(keyword.arg for keyword in node.keywords)
            if isinstance(node.args[0], ast.Constant) and gives_all:
                place = f"{path.relative_to(ENGINE)}:{node.lineno}"
                names = {keyword.arg for keyword in node.keywords}
                found.append(pytest.param(node.args[0].value, names, id=place))
    return found


@pytest.mark.parametrize(("template", "facts"), raised_messages())
def test_every_message_names_exactly_facts_it_is_given(template, facts):
    named = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    # A fact that no sentence names may still be kept for the record, such as the log.
    assert named <= facts
    assert template[-1] in ".}"
