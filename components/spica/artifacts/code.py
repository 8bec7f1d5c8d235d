"""The digest of a stage's code: its module and every Spica module that one imports, in whatever depth.

What counts, beginning at the module that defines the stage's `run`:

- every module under `spica` that is imported, inside functions too, with the packages above it;
- every module that a string names in full, since heavy programs are started by name:
  `RUNS = ("spica.sft.train",)`;
- files beside these modules (prompts, templates, scripts), in the same folder or in folders below it that are
  no packages, but no READMEs; a folder `data` is input, not code: resolve.fingerprint sees to it;
- requirements.lock.

What does not: `spica.launch`, because where and how something is started is no part of a result (but the
settings of the model server are: stages that ask one name its modules), and the
faces (`__main__.py`, `component.py`), because no stage imports them.
"""

import ast
import hashlib
import importlib.util
import sysconfig
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from spica.errors import Fault, PrerequisiteError

PACKAGE = "spica"
ROOT = Path(__file__).parents[1]
EXCLUDED = frozenset(
    f"{PACKAGE}.launch{part}" for part in ("", ".contract", ".local", ".guard", ".processes", ".readiness")
)
LOCK_NAME = "requirements.lock"
NO_CODE = (".py", ".pyc", ".md")
NO_CODE_FOLDERS = ("data", "__pycache__")


class _Source(NamedTuple):
    digest: str
    names: frozenset[str]
    """Dotted names that the file imports or writes down; not all of them are modules."""


def code_digest(run: Callable[..., Any], root: Path = ROOT) -> str:
    """Return the SHA-256 over everything that takes part in `run`.

    Args:
        run: a stage's function.
        root: folder of the package `spica`.

    Raises:
        PrerequisiteError: the lock file is not there.
    """
    return module_digest(run.__module__, root)


def module_digest(start: str, root: Path = ROOT) -> str:
    """Return the SHA-256 over everything that takes part in a module that can be imported by this name.

    Raises:
        PrerequisiteError: the lock file is not there.
    """
    file = _module_file(start, root) or _origin(start)
    digest = hashlib.sha256(_lock_digest(root).encode())
    for name, path in sorted(_closure(start, file, root).items()):
        digest.update(f"\n{name} {_scan(path, name).digest}".encode())
        for data in _files_beside(path) if name.split(".")[0] == PACKAGE else ():
            digest.update(f"\n{data.relative_to(path.parent).as_posix()} {_file_digest(data)}".encode())
    return digest.hexdigest()


def _origin(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None, name
    return Path(spec.origin)


def _closure(start: str, file: Path, root: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    waiting = [(start, file)]
    while waiting:
        name, path = waiting.pop()
        found[name] = path
        for other in _scan(path, name).names:
            for parent in _with_parents(other):
                module = _module_file(parent, root)
                if module and parent not in found and not _excluded(parent):
                    waiting.append((parent, module))
    return found


def _excluded(name: str) -> bool:
    return name in EXCLUDED


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


@cache
def _module_file(name: str, root: Path) -> Path | None:
    package, *parts = name.split(".")
    if package != PACKAGE or not all(part.isidentifier() for part in parts):
        return None
    place = root.joinpath(*parts)
    files = (place / "__init__.py", place.with_suffix(".py")) if parts else (place / "__init__.py",)
    return next((file for file in files if file.is_file()), None)


@cache
def _scan(path: Path, module: str) -> _Source:
    content = path.read_bytes()
    names: set[str] = set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names.update((origin, *(f"{origin}.{alias.name}" for alias in node.names)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    spica = frozenset(name for name in names if name.split(".")[0] == PACKAGE)
    return _Source(hashlib.sha256(content).hexdigest(), spica)


@cache
def _files_beside(module: Path) -> tuple[Path, ...]:
    return tuple(sorted(_data_files(module.parent)))


def _data_files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_file():
            if path.suffix not in NO_CODE:
                yield path
        elif path.name not in NO_CODE_FOLDERS and not (path / "__init__.py").exists():
            yield from _data_files(path)


@cache
def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _lock_digest(root: Path) -> str:
    # In a checkout it lies at the top; a wheel installs it as shared data.
    places = (root.parents[1] / LOCK_NAME, Path(sysconfig.get_path("data")) / "share" / PACKAGE / LOCK_NAME)
    for place in places:
        if place.is_file():
            return _file_digest(place)
    raise PrerequisiteError(
        Fault(str(places[0]), "missing", "the lock file of this installation", "install Spica from its wheel")
    )
