"""How a prompt asks a model: by whatever the composition root provides for it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol, overload

from surefoot.scope import Slot


class Generation(Protocol):
    """`generate`, in both of its faces."""

    @overload
    def __call__(self, prompt: object, /, *, using: Any = None, **inputs: object) -> Awaitable[object]: ...
    @overload
    def __call__(
        self, prompt: object, kind: object, /, *, using: Any = None, **inputs: object
    ) -> Awaitable[object]: ...

    @overload
    def sync(self, prompt: object, /, *, using: Any = None, **inputs: object) -> object: ...
    @overload
    def sync(self, prompt: object, kind: object, /, *, using: Any = None, **inputs: object) -> object: ...


generation: Slot[Generation] = Slot("way to ask models")
