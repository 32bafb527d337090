"""Start-up loads nothing heavy, and layers only look down."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "attneval"

# Each layer may import those below it. `text` and `files` are tools without knowledge of the domain.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"report", "config"},
    {"gate", "selection"},
    {"compare", "merge"},
    {"comparable", "significance", "evaluate"},
    {"summary"},
    {"run", "result"},
    {"integrity"},
    {"scores", "blocks"},
    {"diagnosis"},
    {"block", "itemfile", "scoring", "stats"},
    {"problems", "items", "presets"},
    {"mentions"},
    {"align", "cache"},
    {"export", "groundtruth", "unknown"},
    {"metrics"},
    {"geometry"},
    {"text", "files", "workers"},
    {"protocol", "options"},
    {"errors", "_version"},
]
RANK = {name: rank for rank, layer in enumerate(reversed(LAYERS)) for name in layer}

# Third-party packages and where alone they may be imported.
HOMES = {
    "click": ("cli/", "__main__.py"),
    "rich": ("report/terminal.py", "cli/progress.py"),
    "pycocotools": ("geometry/masks.py",),
    "torch": ("training/", "export/containers.py", "integrations/"),
    "safetensors": ("export/containers.py",),
    "torchmetrics": ("integrations/",),
}


def imports(path: Path) -> set[str]:
    """The modules a file imports, wherever in it, except for type checking alone."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add(str(node.module))
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_only_what_lies_below_them(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports(path):
        parts = module.split(".")
        if parts[0] != "attneval" or len(parts) == 1:
            continue
        other = parts[1]
        if own in {"training", "integrations"}:
            continue  # their own test below
        assert other not in {"training", "integrations"} or own == "cli", f"{path} imports {module}"
        if other in RANK and own != other:
            assert RANK[own] > RANK[other], f"{path} imports {module}, which is not below it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_third_party_packages_stay_at_home(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    for module in imports(path):
        homes = HOMES.get(module.split(".")[0])
        assert homes is None or name.startswith(homes), f"{name} imports {module}"


def test_metrics_need_numpy_only() -> None:
    allowed = {"attneval", "numpy"} | set(sys.stdlib_module_names)
    for path in [*(PACKAGE / "metrics").glob("*.py"), PACKAGE / "stats.py"]:
        assert {module.split(".")[0] for module in imports(path)} <= allowed


def test_training_knows_nothing_of_metrics() -> None:
    for path in (PACKAGE / "training").glob("**/*.py"):
        for module in imports(path):
            assert not module.startswith(("attneval.metrics", "attneval.evaluate", "attneval.scor", "attneval.result"))


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


def test_every_public_name_exists() -> None:
    import attneval

    for name in attneval.__all__:
        assert getattr(attneval, name) is not None
    assert set(attneval.__all__) <= set(dir(attneval))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        attneval.nothing_like_it  # noqa: B018
