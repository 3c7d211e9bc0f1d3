"""Doors of rooms: the names that a package gives, each loaded when it is first asked for, and who fits them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any


def lazy(
    package: str, homes: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package whose names live in modules below it.

    homes: the names that a module below the package gives, by that module.
    """
    home_of = {name: f"{package}.{home}" for home, names in homes.items() for name in names}
    door = sys.modules[package]

    class Door(ModuleType):
        """A package that keeps a name of its own where a module of that name is imported."""

        def __setattr__(self, name: str, value: object) -> None:
            # An import of `surefoot.flows.step` would put the module where the function belongs.
            if name not in home_of or not isinstance(value, ModuleType):
                super().__setattr__(name, value)

    door.__class__ = Door

    def find(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = vars(door)[name] = getattr(importlib.import_module(home_of[name]), name)
        return value

    return find, lambda: sorted({*vars(door), *home_of})


def fitted_by(module: str) -> None:
    """Let the door of the library say which module fits the rooms together: its `fit` is called with a part's name."""
    global _fitting
    _fitting = module


def fit(what: str) -> None:
    """Have a part provided that the composition root holds, which is imported when the first one is asked for."""
    importlib.import_module(_fitting).fit(what)


_fitting = ""
