"""The layout is the architecture: lower rooms never import upper ones, and help loads no jax."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "surveyfit"

SHARED = {"surveyfit", "surveyfit.schema", "surveyfit.errors"}
MAY_IMPORT = {
    "schema.py": set(),
    "errors.py": set(),
    "fit": {"surveyfit.fit"},
    "sky": {"surveyfit.sky"},
    "arrays": {"surveyfit.fit", "surveyfit.sky", "surveyfit.arrays"},
    "run": {"surveyfit.fit", "surveyfit.sky", "surveyfit.run"},
    "report": {"surveyfit.fit", "surveyfit.sky", "surveyfit.run", "surveyfit.report"},
}
NEVER = {
    "fit": {"dask", "distributed", "astropy", "zarr", "pyarrow", "sep", "logging", "time", "os"},
    "sky": {"jax", "jaxlib", "dask", "distributed"},
    "arrays": {"dask", "distributed", "logging"},
}


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {name for name in submodules if is_module(name)}
            yield from known or {node.module}


def is_module(name: str) -> bool:
    path = PACKAGE.parent / Path(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def room(module: str) -> str:
    """``surveyfit.sky.box`` is of ``surveyfit.sky``."""
    parts = module.split(".")
    return module if module in SHARED else ".".join(parts[:2])


def files(name: str) -> list[Path]:
    place = PACKAGE / name
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_room_imports_only_rooms_below_it(name: str) -> None:
    allowed = MAY_IMPORT[name] | (SHARED if "." not in name else set())
    wrong = {
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in files(name)
        for module in imports(path)
        if module.split(".")[0] == "surveyfit" and room(module) not in allowed
    }
    assert not wrong


@pytest.mark.parametrize("name", NEVER)
def test_a_room_does_not_import_what_it_must_not_know(name: str) -> None:
    wrong = {
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in files(name)
        for module in imports(path)
        if module.split(".")[0] in NEVER[name]
    }
    assert not wrong


def test_the_schema_needs_the_standard_library_only() -> None:
    modules = {m.split(".")[0] for m in imports(PACKAGE / "schema.py")}
    assert modules <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["columns"], ["flags"], ["status", "nowhere"], ["submit", "--help"]]
)
def test_light_commands_load_no_jax(arguments: list[str]) -> None:
    program = """
import sys
from surveyfit.cli import main
try:
    main()
except SystemExit:
    pass
assert not {'jax', 'jaxlib', 'distributed'} & set(sys.modules), 'jax or dask was loaded'
"""
    command = [sys.executable, "-c", program, *arguments]
    subprocess.run(command, check=True, capture_output=True)


def test_importing_the_package_loads_no_jax() -> None:
    program = "import surveyfit, sys; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
