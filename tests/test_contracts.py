"""The laws of the house: who imports whom, what stays light, what is documented, and how long."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ENGINE = sorted((ROOT / "engine").rglob("*.py"))
PAGES = sorted((ROOT / "pages").glob("*.py"))
COMMON = sorted((ROOT / "pages" / "common").rglob("*.py"))
SOURCES = [ROOT / "app.py", *PAGES, *COMMON, *ENGINE]

EVERYWHERE = {"errors", "config", "notes", "settings"}
MAY_IMPORT = {
    "errors": set(),
    "config": set(),
    "notes": set(),
    "settings": set(),
    "machine": set(),
    "events": set(),
    "files": set(),
    "messages": set(),
    "run_files": set(),
    "monitor": {"machine"},
    "environment": {"machine"},
    "scores": set(),
    "doctor": {"events", "scores"},
    "pictures": {"scores"},
    "store": {"events"},
    "workbench": {"files", "messages", "store"},
    "datasets": {"files", "pictures", "scores", "store", "workbench"},
    "uploads": {"files", "store", "workbench"},
    "models": {"files", "machine"},
    "training": {"datasets", "events", "files", "machine", "models", "run_files", "scores"},
    "inference": {"datasets", "files", "models", "scores"},
    "web": {"files", "store", "uploads", "workbench"},
    "jobs": {
        "datasets", "doctor", "environment", "events", "files", "inference", "machine",
        "messages", "models", "monitor", "pictures", "scores", "store", "training", "uploads",
        "workbench", "run_files",
    },
    "commands": {
        "datasets", "doctor", "environment", "events", "files", "jobs", "machine", "scores",
        "store", "workbench",
    },
    "__main__": {"commands"},
}  # fmt: skip
"""What each room of the engine may import besides itself and what everybody may."""

MAY_LOAD_TORCH = re.compile(
    r"engine\.(models|training|inference)\..*|engine\.jobs\.(training_task|preflight_task|evaluation)"
)
HEAVY = {"torch", "torchvision", "segmentation_models_pytorch", "onnx", "ray"}

MAX_MODULE_LINES = 400
MAX_PAGE_LINES = 150
MAX_FUNCTION_LINES = 60


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in SOURCES}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_in(nodes: list[ast.AST]) -> set[str]:
    """Full names of the imported modules and, with `from a import b`, of `a.b` too."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def all_imports(path: Path) -> set[str]:
    return imports_in(list(ast.walk(tree_of(path))))


def imports_when_loaded(path: Path) -> set[str]:
    """Imports that happen when the module is imported: not those inside functions."""

    def at_load(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield child
                yield from at_load(child)

    return imports_in(list(at_load(tree_of(path))))


def loaded_with(name: str) -> set[str]:
    """Everything that importing a module of ours loads, as far as our own imports tell."""
    loaded: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in loaded:
            continue
        loaded.add(current)
        parent = current.rpartition(".")[0]
        waiting += [parent] if parent else []
        if current in MODULES:
            waiting += imports_when_loaded(MODULES[current])
    return loaded


def room_of(name: str) -> str:
    """`engine.store.jobs` is in the room `store`."""
    return name.split(".")[1] if "." in name else ""


def rooms_imported(path: Path) -> set[str]:
    found = {room_of(name) for name in all_imports(path) if name.startswith("engine.")}
    return found - {room_of(name_of(path))}


@pytest.mark.parametrize("path", ENGINE, ids=name_of)
def test_room_of_the_engine_imports_only_what_the_law_allows(path):
    room = room_of(name_of(path))
    allowed = MAY_IMPORT.get(room, set()) | EVERYWHERE
    if room == "errors":
        allowed = set()
    assert rooms_imported(path) <= allowed


def test_every_room_of_the_engine_has_its_place_in_the_law():
    assert {room_of(name_of(path)) for path in ENGINE} - {""} == set(MAY_IMPORT)


def test_engine_never_imports_what_stands_above_it():
    for path in ENGINE:
        tops = {name.split(".")[0] for name in all_imports(path)}
        assert not tops & {"streamlit", "pages", "app", "tests", "benchmarks"}, path


def test_pages_import_no_other_page():
    pages = {name_of(path) for path in PAGES} - {"pages"}
    for path in [*PAGES, *COMMON]:
        assert not all_imports(path) & (pages - {name_of(path)}), path


def test_pages_stay_out_of_the_rooms_where_networks_live():
    for path in [ROOT / "app.py", *PAGES, *COMMON]:
        imported = rooms_imported(path)
        assert not imported & {"models", "training", "inference", "commands"}, path
        if path.name != "app.py":
            assert "web" not in imported, path


def test_nothing_imports_the_app():
    for path in SOURCES:
        assert "app" not in {name.split(".")[0] for name in all_imports(path)}, path


def test_only_the_store_speaks_sql():
    for path in SOURCES:
        if room_of(name_of(path)) == "store" and path in ENGINE:
            continue
        tops = {name.split(".")[0] for name in all_imports(path)}
        assert not tops & {"sqlalchemy", "alembic", "sqlite3", "psycopg"}, path


def test_torch_is_imported_only_where_networks_live():
    heavy = {
        name
        for name, path in MODULES.items()
        if {each.split(".")[0] for each in all_imports(path)} & HEAVY
    }
    assert heavy
    assert all(MAY_LOAD_TORCH.fullmatch(name) for name in heavy), heavy


@pytest.mark.parametrize("name", [name for name in MODULES if not MAY_LOAD_TORCH.fullmatch(name)])
def test_light_module_loads_nothing_heavy_by_detours(name):
    assert not {each.split(".")[0] for each in loaded_with(name)} & HEAVY


_PRINT_HEAVY = """
import importlib, sys
heavy, *names = sys.argv[1:]
for name in names:
    importlib.import_module(name)
print(sorted(set(heavy.split(",")) & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "names",
    [
        ["app"],
        [name_of(path) for path in COMMON],
        ["engine.commands.datasets", "engine.commands.runs", "engine.__main__"],
        ["engine.jobs.worker", "engine.jobs.executors.local", "engine.jobs.process"],
    ],
    ids=["app", "pages.common", "command line", "worker"],
)
def test_starting_loads_no_torch(names, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", _PRINT_HEAVY, ",".join(HEAVY), *names],
        cwd=ROOT,
        env=os.environ | {"WORKBENCH_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"


def test_networks_are_trained_and_used_without_a_database_and_a_server(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", _PRINT_HEAVY, "sqlalchemy,alembic,streamlit,starlette",
         "engine.training.trainer", "engine.inference.predictor"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"


def test_engine_states_its_import_law():
    text = (ROOT / "engine" / "README.md").read_text()
    assert len(text.splitlines()) <= 20
    for word in ("training", "store", "jobs", "torch", "streamlit", "SQL", "app → pages"):
        assert word in text


def public_definitions(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """The public functions and classes of a module, and the public methods of its classes."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if child.name.startswith("_") and child.name != "__init__":
                continue
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.")

    yield from walk(tree_of(path), f"{name_of(path)}.")


def inherited_methods(path: Path) -> set[str]:
    """Methods that a base class in the same module has too, which says what they do."""
    classes = {
        node.name: node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)
    }
    methods = {
        name: {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
        for name, node in classes.items()
    }
    return {
        f"{name_of(path)}.{name}.{method}"
        for name, node in classes.items()
        for base in node.bases
        if isinstance(base, ast.Name)
        for method in methods[name] & methods.get(base.id, set())
    }


def needs_no_docstring(name: str, node: ast.AST) -> bool:
    body = getattr(node, "body", [])
    # A protocol's attribute says everything by its name and type; a migration by its module.
    is_stub = len(body) == 1 and isinstance(body[0], ast.Expr) and _is_ellipsis(body[0].value)
    return name.endswith("__init__") or is_stub or ".migrations." in name


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def test_every_module_function_and_class_of_the_engine_says_what_it_is():
    silent = [name_of(path) for path in ENGINE if not ast.get_docstring(tree_of(path))]
    silent += [
        name
        for path in ENGINE
        for name, node in public_definitions(path)
        if name not in inherited_methods(path)
        and not needs_no_docstring(name, node)
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_every_public_function_of_the_engine_is_fully_annotated():
    bare = []
    for path in ENGINE:
        for name, node in public_definitions(path):
            if isinstance(node, ast.ClassDef):
                continue
            given = node.args
            arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
            arguments += [each for each in (given.vararg, given.kwarg) if each]
            named = [each for each in arguments if each.arg not in ("self", "cls")]
            if node.returns is None or not all(each.annotation for each in named):
                bare.append(name)
    assert bare == []


def test_no_module_is_too_long():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    pages = {name_of(path) for path in PAGES}
    too_long = {
        name: lines
        for name, lines in lengths.items()
        if lines > (MAX_PAGE_LINES if name in pages else MAX_MODULE_LINES)
    }
    assert too_long == {}


def test_no_function_is_too_long():
    too_long = {}
    for path in SOURCES:
        if ".migrations." in name_of(path):
            continue
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    too_long[f"{name_of(path)}.{node.name}"] = lines
    assert too_long == {}


def kept_files() -> list[Path]:
    """The files of the repository: what is tracked, or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


FOREIGN = {
    "a folder of one person's machine": re.compile(r"/(?:home|Users|root|work)/[\w.-]+"),
    "a package registry": re.compile(
        r"pypi\.org|pythonhosted\.org|download\.pytorch\.org|registry\.npmjs|conda\.anaconda|"
        r"--(?:extra-)?index-url"
    ),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_names(what):
    found = []
    for path in kept_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {hit}" for hit in FOREIGN[what].findall(text)]
    assert found == []


def test_no_file_names_the_folder_it_lies_in():
    if len(ROOT.parts) < 3:
        pytest.skip("the folder's name is too short to be told from others")
    here = str(ROOT).encode()
    assert [str(path.relative_to(ROOT)) for path in kept_files() if here in path.read_bytes()] == []
