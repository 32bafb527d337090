"""The house: folders look down only, third-party packages stay where they are used, start-up loads nothing heavy."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "attneval"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
FACE = {"__init__.py", "__main__.py", "_version.py", "errors.py", "py.typed"}

HOMES = {
    "click": ("cli/", "__main__.py"),
    "rich": ("report/terminal.py", "cli/progress.py"),
    "pycocotools": ("groundtruth/", "geometry/masks.py"),
    "torch": ("training/", "extraction/", "export/read/containers.py", "integrations/"),
    "safetensors": ("export/read/containers.py",),
    "torchmetrics": ("integrations/",),
    "lightning": ("integrations/",),
    "pytorch_lightning": ("integrations/",),
    "transformers": ("extraction/", "integrations/"),
    "jinja2": ("report/html/",),
    "PIL": ("report/", "extraction/", "groundtruth/"),
    "matplotlib": ("report/figures/",),
    "dask": ("evaluation/engines/dask.py",),
    "distributed": ("evaluation/engines/dask.py", "evaluation/engines/dask_worker.py"),
    "fsspec": ("storage/remote.py",),
}
"""Third-party packages and where alone they may be imported."""
NUMPY_ONLY = ("metrics", "statistics", "geometry", "arrays")
TABLES = (
    "config/protocol.py",
    "config/signature.py",
    "config/thresholds.py",
    "config/presets.py",
    "config/options.py",
    "config/breakdowns.py",
)
TABLES_OF_THE_COMMAND_LINE = (*TABLES, "groundtruth/registry.py", "report/formats.py", "evaluation/engines/__init__.py")


def levels() -> dict[str, float]:
    """The level of each folder, as the page says."""
    rows = re.findall(r"^\| (\d½?) \| (.+) \|$", PAGE, re.MULTILINE)
    return {name: float(level.replace("½", ".5")) for level, names in rows for name in re.findall(r"`(\w+)`", names)}


LEVEL = levels()


def imports(path: Path, *, top: bool = False) -> set[str]:
    """The modules a file imports, wherever in it or only at its top, except for type checking alone."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in tree.body if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            module = str(node.module)
            names = {f"{module}.{alias.name}" for alias in node.names}
            found |= {name if (ROOT / name.replace(".", "/")).with_suffix(".py").exists() else module for name in names}
    return found


def room(module: str) -> str:
    return module.split(".")[1]


def test_the_page_has_a_level_for_every_folder() -> None:
    there = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()} - {"__init__", "py.typed", "__pycache__"}
    assert set(LEVEL) == there


def test_nothing_lies_loose_in_the_root() -> None:
    assert {path.name for path in PACKAGE.iterdir() if path.is_file()} == FACE


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_folders_import_only_what_lies_below_them(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports(path):
        if module.startswith("attneval.") and room(module) not in {here, "cli" if here == "__main__" else here}:
            assert LEVEL[room(module)] < LEVEL[here], f"{path} imports {module}, which is not below it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_third_party_packages_stay_at_home(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    for module in imports(path):
        homes = HOMES.get(module.split(".")[0])
        assert homes is None or name.startswith(homes), f"{name} imports {module}"


def test_modules_do_not_import_each_other() -> None:
    """No circle among modules at run time, looking at imports at their tops."""
    edges = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): {m for m in imports(path, top=True) if "attneval" in m}
        for path in FILES
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module in done:
            return
        for other in edges.get(module, ()):
            visit(other, (*trail, module))
        done.add(module)

    for module in edges:
        visit(module, ())


@pytest.mark.parametrize("folder", NUMPY_ONLY)
def test_kernels_need_numpy_only(folder: str) -> None:
    allowed = {"attneval", "numpy"} | set(sys.stdlib_module_names)
    for path in (PACKAGE / folder).glob("*.py"):
        extra = {"pycocotools"} if path.name == "masks.py" else set()
        assert {module.split(".")[0] for module in imports(path)} <= allowed | extra, path


def test_the_two_sides_do_not_know_each_other() -> None:
    for here, other in (("export", "groundtruth"), ("groundtruth", "export")):
        for path in (PACKAGE / here).rglob("*.py"):
            assert other not in {room(module) for module in imports(path) if module.startswith("attneval.")}, path


def test_results_are_read_without_what_made_them() -> None:
    for folder in ("results", "report"):
        for path in (PACKAGE / folder).rglob("*.py"):
            assert "evaluation" not in {room(module) for module in imports(path) if module.startswith("attneval.")}, (
                path
            )


@pytest.mark.parametrize("name", TABLES_OF_THE_COMMAND_LINE)
def test_tables_of_the_command_line_import_no_numpy(name: str) -> None:
    script = f"import sys, importlib; importlib.import_module({_module(name)!r}); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def _module(name: str) -> str:
    return "attneval." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["score", "--help"], ["nonsense"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from attneval.__main__ import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "finally:\n"
        "    heavy = {'numpy', 'rich', 'torch', 'pycocotools', 'scipy', 'matplotlib'}\n"
        "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_importing_the_package_loads_nothing() -> None:
    script = "import sys, attneval; print({'numpy', 'click', 'rich', 'torch'} & set(sys.modules)); attneval.score"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_distinct_values_are_asked_for_in_one_place() -> None:
    """Without what else it can tell, `np.unique` imports all of numpy.ma, which takes longer than small commands."""
    bare = re.compile(r"np\.unique\((?!.*return_)")
    where = {path.name for path in PACKAGE.rglob("*.py") if bare.search(path.read_text(encoding="utf-8"))}
    assert where == set()


def test_only_one_module_touches_the_state_of_the_process() -> None:
    tricks = re.compile(r"\bgc\.(set_threshold|freeze|disable)|\bos\._exit\b|\bos\.environ\.setdefault|\bos\.environ\[")
    for path in FILES:
        if path != PACKAGE / "cli" / "process.py":
            assert not tricks.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("name", ["score.py", "score_block.py"])
def test_recipes_define_no_nested_function(name: str) -> None:
    tree = ast.parse((PACKAGE / "evaluation" / name).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for node in ast.walk(tree):
        if isinstance(node, functions):
            nested = [inner for inner in ast.walk(node) if isinstance(inner, functions) and inner is not node]
            assert not nested, f"{name} line {nested[0].lineno}"


def test_every_public_name_exists() -> None:
    import attneval

    for name in attneval.__all__:
        assert getattr(attneval, name) is not None
    assert set(attneval.__all__) <= set(dir(attneval))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        attneval.nothing_like_it  # noqa: B018


def test_no_public_name_is_a_submodule() -> None:
    import attneval

    submodules = {path.stem for path in PACKAGE.iterdir()} - {"training", "extraction", "integrations"}
    assert not submodules & set(attneval.__all__)


def test_public_names_are_callable_after_all_submodules_were_imported() -> None:
    script = (
        "import attneval, importlib, pkgutil\n"
        "for module in pkgutil.walk_packages(attneval.__path__, 'attneval.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        try:\n"
        "            importlib.import_module(module.name)\n"
        "        except ImportError:\n"
        "            pass\n"
        "print([n for n in attneval.__all__ if n != '__version__' and not callable(getattr(attneval, n))])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
