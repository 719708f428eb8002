"""The shape of the code base: imports point down, TensorFlow stays where it belongs, topology stays bare."""

import ast
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from kdcn_tf.config import Config

ROOT = Path(__file__).parents[1]

PLAIN = """
    errors options ckg keys text presets files jsonl config config_clicks manifest command dispatch costs planning
    places runs spaces workers contestants extras pages
""".split()

FLOORS: list[set[str]] = [
    # plain Python: errors, options, schema, presets, manifests, what a command looks like
    {f"kdcn_tf.{name}" for name in PLAIN} | {"kdcn_tf"},
    {"kdcn_tf.records"},  # contracts of records
    {"kdcn_tf.data"},  # tf.data
    {"kdcn_tf.losses", "kdcn_tf.layers"},  # maths
    {"kdcn_tf.models"},  # composition
    {"kdcn_tf.training"},
    {"kdcn_tf.export", "kdcn_tf.report"},
    {"kdcn_tf.cli"},
]  # fmt: skip
"""Floor -> its modules and packages, from the bottom up."""

PIPELINES_MAY_USE = FLOORS[0] | FLOORS[1]


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> list[str]:
    """Every module that a file imports, at the top or inside a function; `from a import b` gives a.b too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def floor_of(module: str) -> int:
    """Floor of a module, or of the module that holds an imported name."""
    parts = module.split(".")
    for size in range(len(parts), 1, -1):
        for floor, members in enumerate(FLOORS):
            if ".".join(parts[:size]) in members:
                return floor
    if parts[0] == "kdcn_tf" and not any((ROOT / "kdcn_tf").glob(f"{parts[1]}*" if parts[1:] else "-")):
        return 0  # the package itself, or a name of its __init__.py, such as __version__
    raise AssertionError(f"{module} stands on no floor: add it to FLOORS")


@pytest.mark.parametrize("path", sources("kdcn_tf"), ids=module_name)
def test_imports_point_down(path):
    floor = floor_of(module_name(path))
    for module in imports_of(path):
        assert not module.startswith("pipelines"), f"{path}: {module}"
        if module.startswith("kdcn_tf"):
            assert floor_of(module) <= floor, f"{path} (floor {floor}) imports {module} (floor {floor_of(module)})"


@pytest.mark.parametrize("path", sources("pipelines"), ids=module_name)
def test_pipelines_use_only_the_ground_floors(path):
    for module in imports_of(path):
        assert not module.startswith(("tensorflow", "tf_keras", "keras")), f"{path}: {module}"
        if module.startswith("kdcn_tf"):
            assert floor_of(module) <= 1, f"{path}: {module}"


@pytest.mark.parametrize("path", [*sources("kdcn_tf/models"), *sources("kdcn_tf/layers")], ids=module_name)
def test_models_know_no_optimizer_strategy_or_path(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"optimizers?\.|tf\.distribute|\bopen\(|gfile|kdcn_tf import .*(files|manifest)", text), path


def test_importing_the_package_and_the_pipelines_imports_no_tensorflow():
    modules = [module_name(p) for p in (*sources("pipelines"), *sources("kdcn_tf")) if is_light(module_name(p))]
    code = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
    assert "tensorflow" not in sys.modules, name
print("checked", len({modules!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("checked")


def is_light(module: str) -> bool:
    """Everything but the floors that are made of TensorFlow; commands import those only when they run."""
    return module.startswith(("pipelines", "kdcn_tf.cli")) or floor_of(module) <= 1


def test_help_is_fast():
    """No Beam and no TensorFlow: `kdcn --help` reads the standard library and this package."""
    code = "import sys; from kdcn_tf.cli import main; main.usage(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not {"tensorflow", "apache_beam", "numpy"} & set(done.stdout.split())


COMPARISON = {"kdcn.pretrained=false"}  # run_chain.sh: the same network without the graph's knowledge


@pytest.mark.parametrize("path", sorted((ROOT / "launch").glob("*.sh")), ids=lambda p: p.name)
def test_launch_scripts_name_no_hyperparameter(path):
    names = {f"{section.name}.{option.name}" for section in fields(Config) for option in section_options(section)}
    used = set(re.findall(r"\b[a-z_]+\.[a-z_0-9]+=\S+", path.read_text(encoding="utf-8")))
    found = {text for text in used if text.split("=")[0] in names}
    assert found <= (COMPARISON if path.name == "run_chain.sh" else set())


def section_options(section):
    return fields(section.default_factory)


def test_everything_stands_where_the_layout_says():
    allowed = {"kdcn_tf", "pipelines", "launch", "tests", "benchmarks", "docs"}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    tops = {line.split("/")[0] for line in listed.stdout.splitlines() if "/" in line}
    assert tops - {".ci", ".github"} <= allowed
