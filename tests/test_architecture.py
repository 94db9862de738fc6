"""The house keeps its order: who may import whom, and no state that is shared in secret.

Rooms stand from left to right, and each imports only rooms to its left.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: The rooms of nnkit, left to right; those on one line do not import each other. A new module
#: needs a place here.
ORDER = (
    ("errors",),
    ("functions", "expressions", "metrics", "serialization", "settings"),
    ("backpropagation",),
    ("tensor", "capture", "init", "datasets", "history"),
    ("operations", "modules", "optim", "graph", "config", "passes"),
    ("losses", "schedules", "gradcheck", "watch", "network", "local_rules", "program"),
    ("plan", "assembly", "walkthrough"),
    ("step",),
    ("forward", "training"),
    ("neural_network", "predictor"),
    ("plane",),
    ("experiment",),
    ("evaluation", "validation"),
    ("remarks",),
    ("__init__",),
    ("__main__", "examples"),
)
PLACE = {room: place for place, rooms in enumerate(ORDER) for room in rooms}

#: Rooms that stand apart and know nothing of tensors.
APART = {
    "errors": set(),
    "functions": {"errors"},
    "expressions": {"errors"},
    "metrics": {"errors"},
    "serialization": {"errors"},
    "datasets": {"errors", "expressions", "settings"},
}

MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MAKERS = {"list", "dict", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict"}
CHANGERS = {
    "add", "append", "appendleft", "clear", "discard", "extend", "fill", "insert", "pop", "popitem",
    "popleft", "remove", "reverse", "setdefault", "sort", "update", "__setitem__", "__delitem__",
}  # fmt: skip


def python_files(*places: str) -> list[Path]:
    found = [ROOT / place for place in places]
    return sorted(f for p in found for f in (p.rglob("*.py") if p.is_dir() else [p]))


NNKIT = python_files("nnkit")
APP = python_files("pages", "playground.py")


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """(line, dotted name) of all that is imported anywhere in a file, modules or names in them."""
    found: list[tuple[int, tuple[str, ...]]] = []
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, tuple(alias.name.split("."))) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            start += tuple(node.module.split(".")) if node.module else ()
            found += [(node.lineno, (*start, alias.name)) for alias in node.names]
    return tuple(found)


def packages(path: Path) -> set[str]:
    return {name[0] for _, name in imports(path)}


def run_by(path: Path) -> set[Path]:
    """The files of the app that run when one of them is imported, itself among them.

    Without `pages/__init__.py`, which runs for all and is Streamlit's own matter.
    """
    found: set[Path] = set()
    names = [path.relative_to(ROOT).with_suffix("").parts]
    while names:
        name = names.pop()
        for depth in range(2, len(name) + 1):
            place = ROOT.joinpath(*name[:depth])
            for file in {place.with_suffix(".py"), place / "__init__.py"} & set(APP) - found:
                found.add(file)
                names += [n for line, n in imports(file) if line not in for_types_only(file)]
    return found


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "nnkit").parts
    return parts[0].removesuffix(".py")


def for_types_only(path: Path) -> set[int]:
    """The lines under `if TYPE_CHECKING:`, which never run."""
    blocks = [node for node in ast.walk(tree(path)) if isinstance(node, ast.If)]
    blocks = [node for node in blocks if ast.unparse(node.test) == "TYPE_CHECKING"]
    return {inner.lineno for block in blocks for inner in block.body}


def rooms_imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, room) for what a file of nnkit imports from other rooms."""
    for line, name in imports(path):
        if name[0] == "nnkit":
            room = name[1] if len(name) > 1 and name[1] in PLACE else "__init__"
            if room != room_of(path):
                yield line, room


class TestRooms:
    def test_every_room_has_a_place(self) -> None:
        assert {room_of(path) for path in NNKIT} == PLACE.keys()

    @pytest.mark.parametrize("path", NNKIT, ids=label)
    def test_imports_only_rooms_to_its_left(self, path: Path) -> None:
        mine = room_of(path)
        wrong = [
            f"{label(path)}:{line}: {mine} imports {room}, which is not to its left"
            for line, room in rooms_imported(path)
            if PLACE[room] >= PLACE[mine] and line not in for_types_only(path)
        ]
        assert not wrong

    @pytest.mark.parametrize("room", APART)
    def test_rooms_apart(self, room: str) -> None:
        seen = {r for path in NNKIT if room_of(path) == room for _, r in rooms_imported(path)}
        assert seen <= APART[room]

    def test_examples_use_what_users_use(self) -> None:
        seen = {r for path in NNKIT if room_of(path) == "examples" for _, r in rooms_imported(path)}
        assert seen == {"__init__"}

    def test_the_order_can_be_broken(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The test above sees relative, absolute and late imports."""
        (tmp_path / "nnkit").mkdir()
        bad = tmp_path / "nnkit" / "tensor.py"
        bad.write_text(
            "from . import losses\nfrom .optim.rules import SGD\nimport nnkit.step\n"
            "from nnkit import Linear\ndef f():\n    from nnkit.experiment import Experiment\n"
        )
        monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
        assert [room for _, room in rooms_imported(bad)] == [
            "losses", "optim", "step", "__init__", "experiment",
        ]  # fmt: skip


#: Figures, and the files that say so of themselves.
APART_FROM_STREAMLIT = [
    path
    for path in APP
    if "figure" in path.name or "knows Streamlit" in (ast.get_docstring(tree(path)) or "")
]


class TestLibrariesFromOutside:
    @pytest.mark.parametrize("path", NNKIT, ids=label)
    def test_nnkit_uses_numpy_alone(self, path: Path) -> None:
        assert packages(path) <= {*sys.stdlib_module_names, "nnkit", "numpy"}

    @pytest.mark.parametrize("path", APP, ids=label)
    def test_the_app_uses_what_is_installed_for_it(self, path: Path) -> None:
        ours = {"nnkit", "pages"}
        # pandas comes with Streamlit, whose tables are made of it.
        theirs = {"numpy", "streamlit", "plotly", "pandas"}
        assert packages(path) <= {*sys.stdlib_module_names, *ours, *theirs}

    @pytest.mark.parametrize("path", APP, ids=label)
    def test_plotly_is_for_figures_and_the_live_plot(self, path: Path) -> None:
        if "plotly" in packages(path):
            assert "figure" in path.name or path.parent.name == "live_plot"

    @pytest.mark.parametrize("path", APART_FROM_STREAMLIT, ids=label)
    def test_what_knows_no_streamlit_imports_none(self, path: Path) -> None:
        """Not by way of what it imports, either."""
        assert not [label(file) for file in run_by(path) if "streamlit" in packages(file)]

    def test_there_are_figures(self) -> None:
        assert ROOT / "pages" / "parts" / "figures.py" in APART_FROM_STREAMLIT

    def test_imports_are_followed(self) -> None:
        """The test above sees modules, names in them, and the packages around them."""
        seen = {label(file) for file in run_by(ROOT / "pages" / "parts" / "editing.py")}
        assert {f"pages/parts/{name}" for name in ("state.py", "session.py")} <= seen
        assert {f"pages/parts/network_view/{name}.py" for name in ("events", "__init__")} <= seen

    def test_requirements_name_what_is_imported(self) -> None:
        lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
        for package in ("numpy", "streamlit", "plotly"):
            assert any(line.startswith(package) for line in lines)


class TestApp:
    @pytest.mark.parametrize("path", APP, ids=label)
    def test_pieces_do_not_import_pages(self, path: Path) -> None:
        for line, name in imports(path):
            if name[0] == "pages":
                assert name[1] == "parts", f"{label(path)}:{line}"

    @pytest.mark.parametrize("path", APP, ids=label)
    def test_uses_public_names_of_the_library(self, path: Path) -> None:
        private = [
            f"{label(path)}:{line}: {'.'.join(name)}"
            for line, name in imports(path)
            if name[0] == "nnkit" and any(part.startswith("_") for part in name[1:])
        ]
        assert not private

    def test_the_start_script_defines_nothing(self) -> None:
        """It is navigation; what there is to do is done in pages and pieces."""
        defined = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
        script = ROOT / "playground.py"
        assert not [n for n in ast.walk(tree(script)) if isinstance(n, defined)]
        assert "nnkit" not in packages(script)


# ---- shared state --------------------------------------------------------------------------------


def module_names(module: ast.Module) -> tuple[set[str], set[str]]:
    """Names bound at the top of a module: to something mutable, and all of them."""
    mutable, bound = set(), set()
    for node in module.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {t.id for t in targets if isinstance(t, ast.Name)}
            bound |= names
            called = node.value.func if isinstance(node.value, ast.Call) else None
            makes = isinstance(called, ast.Name) and called.id in MAKERS
            if isinstance(node.value, MUTABLE) or makes:
                mutable |= names
    return mutable, bound


def base_name(node: ast.expr) -> str:
    """x for x[0], x.a, x[0].b …"""
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def local_names(function: ast.AST) -> set[str]:
    """Names that a function binds itself, and that hide those of the module."""
    names = {n.arg for n in ast.walk(function) if isinstance(n, ast.arg)}
    return names | {
        n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }


def changes_of_state(module: ast.Module) -> list[tuple[int, str]]:
    """(line, what) for every place in a function that changes something of its module."""
    mutable, bound = module_names(module)
    found: list[tuple[int, str]] = []
    functions = [n for n in ast.walk(module) if isinstance(n, (ast.FunctionDef, ast.Lambda))]
    for function in functions:
        hidden = local_names(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                found += [(node.lineno, f"global {name}") for name in node.names]
            targets: list[ast.expr] = []
            if isinstance(node, (ast.Assign, ast.Delete)):
                targets = node.targets
            elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
                targets = [node.target]
            for target in targets:
                name = base_name(target)
                if not isinstance(target, ast.Name) and name in bound - hidden:
                    found.append((node.lineno, f"{name} is assigned to"))
                if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Call):
                    called = target.value.func
                    if isinstance(called, ast.Name) and called.id in ("globals", "vars"):
                        found.append((node.lineno, f"{called.id}() is assigned to"))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = base_name(node.func.value)
                if node.func.attr in CHANGERS and name in mutable - hidden:
                    found.append((node.lineno, f"{name}.{node.func.attr}()"))
    for node in ast.walk(module):
        for decorator in getattr(node, "decorator_list", []):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            attribute = called.attr if isinstance(called, ast.Attribute) else base_name(called)
            if attribute in ("cache", "lru_cache"):
                found.append((node.lineno, f"results are kept by @{attribute}"))
    return sorted(set(found))


#: Harmless: names that are imported late are kept, the same for everyone.
ALLOWED = {"nnkit/__init__.py": ["globals() is assigned to"]}


class TestState:
    """Many users share one process: what a module holds is the same for all, for good."""

    @pytest.mark.parametrize("path", NNKIT + APP, ids=label)
    def test_no_function_changes_its_module(self, path: Path) -> None:
        allowed = ALLOWED.get(label(path), [])
        if path in APP:  # pictures and texts that are the same for everyone
            allowed = ["results are kept by @cache", "results are kept by @lru_cache"]
        found = changes_of_state(tree(path))
        assert [f"{label(path)}:{n}: {what}" for n, what in found if what not in allowed] == []

    @pytest.mark.parametrize(
        "body",
        [
            "def f():\n    global TABLE\n    TABLE = {}",
            "def f():\n    TABLE['a'] = 1",
            "def f():\n    del TABLE['a']",
            "def f():\n    TABLE.update(a=1)",
            "def f():\n    TABLE['a'].append(1)",
            "class A:\n    def f(self):\n        TABLE.setdefault('a', []).append(1)",
            "f = lambda: TABLE.clear()",
            "LIST = []\ndef f():\n    LIST.append(1)",
            "NUMBER = A()\ndef f():\n    NUMBER.x = 1",
            "NUMBER = A()\ndef f():\n    NUMBER.x += 1",
            "def f():\n    globals()['a'] = 1",
            "@functools.cache\ndef f(x):\n    return x",
            "@lru_cache(maxsize=3)\ndef f(x):\n    return x",
        ],
    )
    def test_changes_are_seen(self, body: str) -> None:
        assert changes_of_state(ast.parse(f"TABLE = {{}}\n{body}\n"))

    @pytest.mark.parametrize(
        "body",
        [
            "TABLE['a'] = 1",
            "def f():\n    TABLE = {}\n    TABLE['a'] = 1",
            "def f(TABLE):\n    TABLE.update(a=1)",
            "def f():\n    return TABLE['a'], TABLE.get('b')",
            "def f():\n    return {**TABLE, 'a': 1}",
        ],
    )
    def test_what_is_fine_is_let_pass(self, body: str) -> None:
        assert not changes_of_state(ast.parse(f"TABLE = {{}}\n{body}\n"))


# ---- what importing costs ------------------------------------------------------------------------


def modules_after(code: str) -> set[str]:
    """The modules of a fresh interpreter after it has run `code` (site-packages added late)."""
    paths = [str(ROOT), *(p for p in sys.path if "site-packages" in p)]
    script = (
        f"import sys; sys.path += {paths!r}\n{code}\n"
        "import json; print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(done.stdout))


def test_import_nnkit_needs_numpy_alone_and_little_else() -> None:
    ours = modules_after("import nnkit")
    # Of the standard library: these, with whatever they import themselves.
    light = "__future__, bisect, copy, contextlib, contextvars, dataclasses, functools, heapq"
    light += ", importlib, math, typing"
    theirs = modules_after(f"import numpy, numpy.typing, {light}")
    assert {name for name in ours - theirs if name.split(".")[0] != "nnkit"} == set()
    # Data sets, files and experiments are imported when they are asked for.
    later = ("config", "datasets", "experiment", "expressions", "predictor", "serialization")
    assert not {f"nnkit.{name}" for name in later} & ours


def test_what_is_in_sight() -> None:
    """The top of the repository tells a newcomer where everything is."""
    seen = {p.name for p in ROOT.iterdir() if not p.name.startswith(".")} - {"__pycache__"}
    assert seen == {
        "README.md", "nnkit", "pages", "playground.py", "pyproject.toml", "requirements.txt",
        "tests",
    }  # fmt: skip
