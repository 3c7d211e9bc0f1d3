"""Methods of libraries that are replaced while the hook is on, whichever is imported first: the library or we.

No library is imported from here. One that is loaded is patched at once, one that comes later as its import ends.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from surefoot import scope
from surefoot.locks import ForkSafeLock

logger = scope.logger("surefoot.models")

Replace = Callable[[Callable[..., Any], ModuleType], Callable[..., Any]]
"""From a method and the module of its class: what takes its place."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One method of a class of a module, and what takes its place."""

    module: str
    class_name: str
    method: str
    replace: Replace


class Patches:
    """A set of patches that go on and off together."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        self._patches = tuple(patches)
        self._modules = tuple(dict.fromkeys(patch.module for patch in patches))
        self._lock = ForkSafeLock()
        self._watch = _Watch(self._modules, self._patch)
        self._done: dict[tuple[type, str], tuple[object, object]] = {}  # -> the class's own method, ours
        # Each run asks for the patches: of what was seen already nothing is to be done.
        self._seen: dict[str, ModuleType] = {}
        self.is_on = False

    def put_on(self) -> None:
        """Patch what is loaded, and watch for what is not. Idempotent."""
        with self._lock:
            self.is_on = True
            if self._watch not in sys.meta_path:
                sys.meta_path.insert(0, self._watch)
        for name in self._modules:
            if name in sys.modules and sys.modules[name] is not self._seen.get(name):
                # Waits for an import that another thread has begun; the module itself is there already.
                self._patch(importlib.import_module(name))

    def take_off(self) -> None:
        """Give the methods back. Where another library has patched one since, ours stays; it looks at `is_on`."""
        with self._lock:
            self.is_on = False
            self._seen.clear()
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self._watch]
            for (patched, method), (original, ours) in list(self._done.items()):
                if patched.__dict__.get(method) is ours:
                    setattr(patched, method, original)
                    del self._done[patched, method]

    def _patch(self, module: ModuleType) -> None:
        with self._lock:
            if not self.is_on:
                return
            # By the name under which it was looked for: a module may pose as another.
            patches = [patch for patch in self._patches if module is sys.modules.get(patch.module)]
            found = [self._patch_method(patch, module) for patch in patches]
            if all(found):
                self._seen.update((patch.module, module) for patch in patches)

    def _patch_method(self, patch: Patch, module: ModuleType) -> bool:
        """Replace one method; whether it was there."""
        found = getattr(module, patch.class_name, None)
        original = found.__dict__.get(patch.method) if isinstance(found, type) else None
        if not isinstance(found, type) or original is None:
            logger.warning(
                "%s has no %s.%s in this release, which Surefoot does not know: see what of its calls is recorded",
                patch.module,
                patch.class_name,
                patch.method,
            )
            return False
        if (found, patch.method) not in self._done:
            ours = patch.replace(original, module)
            self._done[found, patch.method] = original, ours
            setattr(found, patch.method, ours)
        return True


class _Watch(importlib.abc.MetaPathFinder):
    """Patches a module as its import ends."""

    def __init__(self, modules: Sequence[str], patch: Callable[[ModuleType], None]) -> None:
        self._modules = frozenset(modules)
        self._patch = patch
        self._searching = threading.local()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
        /,
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with a loader that patches."""
        if fullname not in self._modules or getattr(self._searching, "is_on", False):
            return None
        self._searching.is_on = True  # the search below comes by here again
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching.is_on = False
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader, self._patch)
        return spec


class _PatchingLoader(importlib.abc.Loader):
    """A loader that patches the module it has loaded, and then leaves no trace of itself on it."""

    def __init__(self, loader: importlib.abc.Loader, patch: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._patch = patch

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._patch(module)
