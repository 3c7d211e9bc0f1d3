"""Where the code of a flow is, and how another process loads it again."""

from __future__ import annotations

import importlib
import inspect
import sys
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from surefoot.errors import UnknownFlow
from surefoot.ledger import Entry, canonical_module

_entries: WeakKeyDictionary[Any, Entry] = WeakKeyDictionary()


def entry_of(target: Any) -> Entry:
    """The module, file and qualified name of a class or function."""
    entry = _entries.get(target)
    if entry is None:
        entry = _entries[target] = _found(target)
    return entry


def _found(target: Any) -> Entry:
    try:
        file = inspect.getsourcefile(inspect.unwrap(target))
    except (TypeError, OSError):
        # Typed in at a prompt or given with -c: there is no file.
        file = None
    module = canonical_module(target.__module__)
    # A notebook's debugger writes cells to files, from which nothing can be imported.
    is_cell = module == "__main__" and getattr(sys.modules.get("__main__"), "__file__", None) is None
    is_file = file is not None and not is_cell and Path(file).is_file()
    return Entry(
        module=module,
        qualname=target.__qualname__,
        file=str(Path(file).resolve()) if file is not None and is_file else None,
    )


def load(entry: Entry) -> Any:
    """The class or function at `entry`. Raises `UnknownFlow` that says how to go on."""
    module = _module(entry)
    found: Any = module
    for part in entry.qualname.split("."):
        found = getattr(found, part, None)
        if found is None and entry.is_typed_in:
            name = entry.qualname.rpartition(".")[2]
            raise UnknownFlow(
                f"{entry.qualname!r} was defined in a notebook or at a prompt, and is not defined here: define it "
                f"again, then give it in code as app.resume(run_id, flow={name})"
            )
        if found is None:
            where = entry.file or entry.module
            raise UnknownFlow(
                f"no {entry.qualname!r} in {where}{_offer(module)}: mend the name, or put the flow back; a run of a "
                "flow that has another name now goes on in code, as app.resume(run_id, flow=ThatFlow)"
            )
    return found


def load_reference(reference: str) -> Any:
    """The flow that a user names as `FILE.py:NAME` or `module:NAME`; NAME may be left out if there is only one."""
    place, _, name = reference.partition(":")
    if not place:
        raise UnknownFlow(f"{reference!r} names no flow: write FILE.py:NAME or module:NAME")
    if place.endswith(".py") or "/" in place:
        try:
            path = Path(place).resolve()
            is_folder, is_file = path.is_dir(), path.is_file()
        except (OSError, ValueError) as error:
            # A name that is too long, or holds a character that no name has.
            raise UnknownFlow(f"{place[:80]!r} names no file ({error.__class__.__name__})") from None
        if is_folder:
            raise UnknownFlow(f"{place} is a folder: write FOLDER/FILE.py:NAME")
        if not is_file:
            raise UnknownFlow(f"there is no file {place}: write FILE.py:NAME or module:NAME")
        entry = Entry(module=_module_name(path), qualname=name, file=str(path))
    else:
        entry = Entry(module=place, qualname=name)
    if name:
        return load(entry)
    module = _module(entry)
    own = [value for value in flows_in(module).values() if value.__module__ == module.__name__]
    if len(own) != 1:
        raise UnknownFlow(f"{place} holds {len(own) or 'no'} flows{_offer(module)}: write {place}:NAME")
    return own[0]


def flows_of(file: Path) -> list[Any]:
    """The flows that a file defines, not those that it imports. Raises `UnknownFlow` where it cannot be imported."""
    path = file.resolve()
    module = _module(Entry(module=_module_name(path), qualname="", file=str(path)))
    found: list[Any] = []
    for value in flows_in(module).values():
        # `Workflow` itself, and an heir without a body, is no flow.
        is_own = value.__module__ == module.__name__ and getattr(value, "spec", None) is not None
        if is_own and not any(value is other for other in found):
            found.append(value)
    return found


def flows_in(module: ModuleType) -> dict[str, Any]:
    """The flows among a module's names."""
    return {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "is_surefoot_flow", False) and not name.startswith("_")
    }


def _offer(module: ModuleType) -> str:
    names = sorted(flows_in(module))
    return f" (it has {', '.join(names)})" if names else ""


def _module(entry: Entry) -> ModuleType:
    main = sys.modules.get("__main__")
    if main is not None and canonical_module("__main__") == entry.module and _is_same_file(main, entry):
        return main
    loaded = sys.modules.get(entry.module)
    if loaded is not None and _is_same_file(loaded, entry):
        return loaded
    if entry.file is not None:
        if not Path(entry.file).is_file():
            raise UnknownFlow(
                f"the flow's file {entry.file} is gone: put it back, or say where the flow is now, as in "
                "`surefoot resume RUN --flow FILE.py:NAME` or app.resume(run_id, flow=ThatFlow)"
            )
        # What Python does for `python FILE`: the folder (of the outermost package) leads the search path.
        root = str(reduce(lambda path, _: path.parent, entry.module.split("."), Path(entry.file)))
        if root not in sys.path:
            sys.path.insert(0, root)
        sys.modules.pop(entry.module, None)
    elif "." not in sys.path and "" not in sys.path:
        sys.path.insert(0, "")
    try:
        importlib.invalidate_caches()
        module = importlib.import_module(entry.module)
    except (Exception, SystemExit) as error:
        where = entry.file or entry.module
        raise UnknownFlow(
            f"{where} cannot be imported ({type(error).__name__}: {error}): mend it, then try again"
        ) from error
    if not _is_same_file(module, entry):
        raise UnknownFlow(
            f"module {entry.module!r} is {getattr(module, '__file__', '?')}, not {entry.file}: "
            "rename one of the two files"
        )
    return module


def _is_same_file(module: ModuleType, entry: Entry) -> bool:
    file = getattr(module, "__file__", None)
    if entry.file is None or file is None:
        return entry.file is None
    return Path(file).resolve() == Path(entry.file)


def _module_name(path: Path) -> str:
    """The dotted name under which Python knows the file: its packages' names before its own."""
    parts = [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.append(folder.name)
        folder = folder.parent
    return ".".join(reversed(parts))
