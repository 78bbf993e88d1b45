"""Which module may import which: no circle anywhere, and arrows between rooms that point down only."""

import ast
import os
import re
import subprocess
import sys
import warnings

import pytest
from helpers import REPO

PACKAGE = os.path.join(REPO, "lc_music_vae")
# From the ground up. What stands at the top of the package has a floor of its own each.
FLOORS = (
    ("errors",),
    ("system",),
    ("hparams",),
    ("configs",),
    ("base_model",),
    ("music",),
    ("options",),
    ("families",),
    ("data",),
    ("checkpoints",),
    ("models",),
    ("encoding",),
    ("composer",),
    ("trained_model",),
    ("showing",),
    ("generation", "training"),
)
# What needs neither TensorFlow nor magenta, whatever of it is imported.
LIGHT = ("system", "music", "options", "hparams", "configs", "errors")


def modules():
    """Path of each module, by its name within the package."""
    found = {}
    for folder, _, names in os.walk(PACKAGE):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                dotted = os.path.relpath(path, PACKAGE)[: -len(".py")].replace(os.sep, ".")
                found[dotted.replace(".__init__", "")] = path
    del found["__init__"]
    return found


def imports(path, names):
    """Names within the package that a module imports, wherever in it."""
    with open(path, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lc_music_vae":
            base = node.module.split(".")[1:]
            for alias in node.names:
                dotted = ".".join([*base, alias.name])
                found.add(dotted if dotted in names else ".".join(base))
        elif isinstance(node, ast.Import):
            found.update(a.name.partition(".")[2] for a in node.names if a.name.startswith("lc_music_vae."))
    return found - {""}


@pytest.fixture(scope="module")
def graph():
    names = modules()
    return {name: imports(path, names) for name, path in names.items()}


def test_no_module_imports_itself_on_any_way(graph):
    done, way = set(), []

    def visit(name):
        assert name not in way, " -> ".join([*way, name])
        if name not in done:
            way.append(name)
            for other in sorted(graph.get(name, ())):
                visit(other)
            way.pop()
            done.add(name)

    for name in sorted(graph):
        visit(name)


def test_arrows_between_rooms_point_down_only(graph):
    floor_of = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
    assert {name.split(".")[0] for name in graph} == set(floor_of)
    up = []
    for name, others in graph.items():
        for other in others:
            here, there = name.split(".")[0], other.split(".")[0]
            if here != there and floor_of[there] >= floor_of[here]:
                up.append("%s -> %s" % (name, other))
    assert up == []


def test_nothing_that_trains_is_imported_by_what_generates(graph):
    generating = {other for name in graph if name.startswith("generation") for other in graph[name]}
    assert not [name for name in generating if name.startswith("training")]


def test_what_is_light_loads_neither_tensorflow_nor_magenta(graph):
    names = sorted(n for n in graph if n.split(".")[0] in LIGHT and "." in n or n in LIGHT)
    code = "import importlib, sys\nfor name in %r: importlib.import_module('lc_music_vae.' + name)\n" % names
    code += "print(sorted({'tensorflow', 'magenta'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=REPO, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_warns_of_nothing():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import lc_music_vae; print(*dir(lc_music_vae))"],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {"CONFIG_MAP", "Config", "InputError", "TrainedModel", "evaluate", "train"} <= set(done.stdout.split())


def test_no_module_warns_that_something_in_it_is_out_of_date(graph):
    """Of what other packages warn, nothing is said here."""
    for name, path in modules().items():
        with open(path, encoding="utf-8") as f, warnings.catch_warnings():
            warnings.simplefilter("error")
            compile(f.read(), name, "exec")  # as Python does when it has no bytecode of it yet
    code = "import importlib, warnings\nwith warnings.catch_warnings(record=True) as caught:\n"
    code += "    warnings.simplefilter('always')\n"
    code += "    for name in %r: importlib.import_module('lc_music_vae.' + name)\n" % sorted(graph)
    code += "print([str(w) for w in caught if w.filename.startswith(%r)])" % PACKAGE
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == "[]"


def test_test_modules_import_helpers_and_never_one_another():
    """What several use is in helpers.py, so that a module can be read, run and changed by itself."""
    wrong = []
    for folder, _, names in os.walk(os.path.join(REPO, "tests")):
        for name in sorted(n for n in names if n.endswith(".py")):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                tree = ast.parse(f.read())
            for node in ast.walk(tree):
                imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                wrong += ["%s -> %s" % (name, i) for i in imported if re.match(r"(tests\.)?(conftest|test_\w+)$", i)]
    assert wrong == []


def test_no_function_takes_more_arguments_than_a_reader_can_hold():
    """Seven at the most; of public functions three by position, as what follows says nothing where it is called."""
    wrong = []
    for module, path in modules().items():
        with open(path, encoding="utf-8") as f:
            tree = ast.parse(f.read())
        for scope in [tree] + [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]:
            for function in (node for node in scope.body if isinstance(node, ast.FunctionDef)):
                by_position = [a.arg for a in function.args.args if a.arg not in ("self", "cls")]
                public = function.name == "__init__" or not function.name.startswith("_")
                if len(by_position) + len(function.args.kwonlyargs) > 7 or (public and len(by_position) > 3):
                    wrong.append("%s.%s" % (module, function.name))
    assert wrong == []
