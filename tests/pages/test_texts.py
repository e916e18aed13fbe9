"""Every word on screen passes through `_()`, as a literal that a translator's tool can collect."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from engine.config import AUGMENT_PRESETS, ENCODERS, RECIPES, choices, leaf_fields, parts
from engine.errors import NotFound
from engine.store.datasets import ClassEntry
from engine.store.jobs import JobStatus
from engine.store.runs import SPLIT_NAMES
from pages.common import texts
from pages.common.texts import choice_word, part_titles
from pages.common.viewer import TEXT_KEYS
from tests.pages.support import PAGES

ELEMENTS = {
    "badge", "button", "camera_input", "caption", "chat_input", "checkbox", "color_picker",
    "data_editor", "date_input", "datetime_input", "dialog", "download_button", "error",
    "expander", "feedback", "file_uploader", "form_submit_button", "header", "info",
    "link_button", "markdown", "metric", "multiselect", "number_input", "page_link", "pills",
    "popover", "progress", "radio", "segmented_control", "select_slider", "selectbox", "slider",
    "spinner", "status", "subheader", "success", "tab", "tabs", "text", "text_area",
    "text_input", "time_input", "title", "toast", "toggle", "warning", "write",
    "CheckboxColumn", "Column", "DateColumn", "DatetimeColumn", "ImageColumn", "LinkColumn",
    "NumberColumn", "ProgressColumn", "SelectboxColumn", "TextColumn",
}  # fmt: skip
"""Streamlit's elements and columns that show their first argument."""

NOT_SHOWN = {"st.form", "st.get_option", "st.html", "st.space"}
"""Functions of Streamlit whose first argument is no words."""

SHOWN_KEYWORDS = {"alt", "help", "help_text", "label", "page_title", "placeholder", "text", "title"}

NO_WORDS = {"bottom right", "YYYY-MM-DD HH:mm"}
"""Literals that look like words and are settings: a place, a date format."""

PASSED_ON = {
    ("common/texts.py", "error.message"),
    ("common/texts.py", "record['message']"),
    ("common/train/fields.py", "field.title or name"),
    ("common/train/fields.py", "field.description or ''"),
    ("common/train/summaries.py", "AugmentConfig.model_fields[name].title or name"),
    ("common/tables.py", "field.title or name"),
    ("common/tables.py", "field.description or ''"),
    ("common/dataset_findings.py", "note.message"),
    ("common/texts.py", "note.message"),
    ("common/dataset_split.py", "field.title or name"),
    ("common/dataset_split.py", "field.description or ''"),
    ("common/dataset_split.py", "GroupPlan.model_fields['pattern'].description or ''"),
}
"""Words of the engine, which a translation finds in the engine's own literals."""

FILES = {path.relative_to(PAGES).as_posix(): path for path in sorted(PAGES.rglob("*.py"))}


def calls(path: Path) -> Iterator[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def shown_arguments(call: ast.Call) -> Iterator[ast.expr]:
    """What a call shows to a person."""
    function = ast.unparse(call.func)
    is_element = function.rpartition(".")[2] in ELEMENTS
    is_other = re.fullmatch(r"st\.\w+", function) and function not in NOT_SHOWN
    if call.args and (is_element or is_other):
        yield call.args[0]
    yield from (keyword.value for keyword in call.keywords if keyword.arg in SHOWN_KEYWORDS)


def bare_words(expression: ast.expr) -> str:
    """The words of an expression that did not pass through `_()`."""
    match expression:
        case ast.Constant(value=str(text)):
            text = without_syntax(text)
            return text if any(character.isalpha() for character in text) else ""
        case ast.JoinedStr(values=found) | ast.BoolOp(values=found) | ast.List(elts=found):
            return "".join(bare_words(each) for each in found)
        case ast.BinOp(left=left, right=right) | ast.IfExp(body=left, orelse=right):
            return bare_words(left) + bare_words(right)
        case ast.Call(func=ast.Attribute(value=ast.Constant() as template)):
            return bare_words(template)
    return ""


def without_syntax(text: str) -> str:
    """A literal without icons and HTML tags, whole ones and begun ones."""
    return re.sub(r":material/\w+:|<[^>]*(>|$)", "", text).strip()


def sentences(tree: ast.Module) -> Iterator[ast.Constant]:
    """Literals that look like words for a person and are no documentation: “Runs”, “no runs”."""
    passed = {
        id(part) for call in ast.walk(tree) if is_translation(call) for part in ast.walk(call)
    }
    passed |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in passed
        ):
            text = without_syntax(node.value)
            if re.search(r"[^\W\d]{2,} [^\W\d]|^[A-Z][a-z]", text) and text not in NO_WORDS:
                yield node


def is_translation(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "_"


def translated(path: Path) -> list[ast.Call]:
    return [call for call in calls(path) if is_translation(call)]


@pytest.mark.parametrize(
    "source, expected",
    [
        ("st.title('Runs')", "Runs"),
        ("st.title(_('Runs'))", ""),
        ("left.metric(f'Dice of {name}', 1)", "Dice of"),
        ("st.markdown(f'**{name}**')", ""),
        ("st.markdown(f'### {icon} {title}')", ""),
        ("st.caption('yes' if x else _('no'))", "yes"),
        ("st.caption(_('a') + ' and ' + _('b'))", "and"),
        ("st.caption('{n} runs'.format(n=1))", "{n} runs"),
        ("st.caption(_('{n} runs').format(n=1))", ""),
        ("st.tabs(['One', _('Two')])", "One"),
        ("st.button(_('Go'), help='now')", "now"),
        ("st.button(_('Go'), icon=':material/stop:', key='go')", ""),
        ("st.anything_new('words')", "words"),
        ("st.html('<div>')", ""),
        ("st.session_state.get('seen')", ""),
        ("columns.score('Dice')", ""),
        ("st.column_config.TextColumn('Dice')", "Dice"),
        ("Layer(name='image', title='Image')", "Image"),
    ],
)
def test_contract_tells_words_from_syntax(source, expected):
    call = ast.parse(source, mode="eval").body
    assert "".join(map(bare_words, shown_arguments(call))) == expected


@pytest.mark.parametrize("name", FILES)
def test_every_word_on_screen_can_be_translated(name):
    bare = [
        f"pages/{name}:{argument.lineno}: {bare_words(argument)!r}"
        for call in calls(FILES[name])
        for argument in shown_arguments(call)
        if bare_words(argument)
    ]
    assert not bare, "Wrap these words in _(…):\n" + "\n".join(bare)


@pytest.mark.parametrize(
    "source, expected",
    [
        ("empty_state(icon, 'No runs yet')", ["No runs yet"]),
        ("views = {'runs': 'Runs', 'log': _('Log')}", ["Runs"]),
        ('def f():\n    """Show it."""\n    return x[\'name\']', []),
        ('KEY = \'runs_table\'\n"""Key of the table."""', []),
    ],
)
def test_contract_finds_words_far_from_any_element(source, expected):
    assert [node.value for node in sentences(ast.parse(source))] == expected


@pytest.mark.parametrize("name", FILES)
def test_no_sentence_stays_untranslated(name):
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    bare = [f"pages/{name}:{node.lineno}: {node.value!r}" for node in sentences(tree)]
    assert not bare, "Wrap these words in _(…), or list them in NO_WORDS:\n" + "\n".join(bare)


@pytest.mark.parametrize("name", FILES)
def test_every_translated_text_is_a_plain_literal(name):
    computed = [
        f"pages/{name}:{call.lineno}: {ast.unparse(call)}"
        for call in translated(FILES[name])
        if not (len(call.args) == 1 and isinstance(call.args[0], ast.Constant))
        and (name, ast.unparse(call.args[0])) not in PASSED_ON
    ]
    assert not computed, "Give _() a literal and format its result:\n" + "\n".join(computed)


def test_exceptions_of_the_contract_still_exist():
    found = {
        (name, ast.unparse(call.args[0]))
        for name, path in FILES.items()
        for call in translated(path)
    }
    assert found >= PASSED_ON


@pytest.mark.parametrize("name", FILES)
def test_every_placeholder_of_a_text_is_filled_in(name):
    wrong = []
    for call in calls(FILES[name]):
        match call:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Call(func=ast.Name(id="_"), args=[ast.Constant(value=template)]),
                    attr="format",
                ),
                keywords=keywords,
            ) if all(keyword.arg for keyword in keywords):
                wanted = {field for _text, field, *_ in string.Formatter().parse(template) if field}
                if wanted != {keyword.arg for keyword in keywords}:
                    wrong.append(f"pages/{name}:{call.lineno}: {template!r}")
    assert not wrong, "Placeholders and values differ:\n" + "\n".join(wrong)


def test_text_without_a_translation_is_shown_in_english():
    assert texts._("Runs") == "Runs"


def test_error_is_shown_with_its_facts():
    error = NotFound("There is no run “{run}”.", run="ab")
    assert texts.error_text(error) == "There is no run “ab”."
    assert texts.record_text(error.to_record()) == "There is no run “ab”."


def test_every_status_split_and_phase_has_its_word():
    assert len({texts.status_word(status) for status in get_args(JobStatus)}) == 5
    assert len({texts.split_word(split) for split in SPLIT_NAMES}) == 3
    phases = [
        "queued", "starting", "reading", "writing", "preparing", "training", "evaluating",
        "pictures", "speed", "overfit", "rates",
    ]  # fmt: skip
    words = [texts.phase_word(phase) for phase in phases]
    assert len(set(words)) == len(phases)
    assert not set(words) & set(phases)


def test_unknown_phase_is_shown_as_it_is():
    assert texts.phase_word("polishing") == "polishing"


def test_only_most_wanted_splits_are_all_splits():
    assert sorted(texts.MOST_WANTED_SPLITS) == sorted(SPLIT_NAMES)


@pytest.mark.parametrize(
    "name, is_background, expected",
    [
        ("Background", True, "Background"),
        ("skin", True, "skin (background)"),
        ("background", False, "background"),
        ("cell", False, "cell"),
    ],
)
def test_background_is_told_apart_where_its_name_does_not(name, is_background, expected):
    entry = ClassEntry(
        index=0, name=name, color="#000000", background=is_background, source_value=0
    )
    assert texts.class_word(entry) == expected


def test_viewer_has_all_its_words():
    assert texts.viewer_texts().keys() == set(TEXT_KEYS)
    assert all(texts.viewer_texts().values())


def test_every_group_and_every_choice_of_the_settings_has_a_word():
    assert part_titles().keys() == parts().keys()
    assert not [name for name, title in part_titles().items() if title == name]
    known = {
        "random", "interleaved", "stratified", "none", "batch", "group", "instance", "grey",
        "bilinear", "nearest", "focal", "balanced", "given", "constant", "exponential", "plateau",
        "on", "off", "patches",
    } | set(ENCODERS)  # fmt: skip
    unknown = {
        choice
        for _part, field in leaf_fields().values()
        for choice in choices(field)
        if choice_word(choice) == choice
    }
    assert unknown <= known
    assert {choice_word(preset) for preset in AUGMENT_PRESETS} == {
        "none", "light", "medium", "strong"
    }  # fmt: skip


def test_every_recipe_is_described_and_the_default_comes_first():
    assert list(texts.recipe_notes()) == list(RECIPES)
    assert len(set(texts.recipe_notes().values())) == len(RECIPES)


@pytest.mark.parametrize(
    "name, expected",
    [("float32", "single (fp32)"), ("bfloat16", "bfloat16"), ("bf16", "bfloat16"), ("x", "x")],
)
def test_precision_is_named_as_in_the_settings(name, expected):
    assert texts.precision_word(name) == expected


def test_numbers_of_patches_are_told_from_those_of_whole_images():
    whole, patches = texts.training_size_note(256), texts.training_size_note(256, is_patches=True)
    assert "256×256 px" in whole and "256×256 px" in patches
    assert "windows" in patches and "windows" not in whole
    assert "patches" not in whole
