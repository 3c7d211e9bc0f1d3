"""The description of a server for programs (OpenAPI 3.1)."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.server.openapi.document import described as described
    from surefoot.server.openapi.example import example_of as example_of
else:
    __getattr__, __dir__ = doors.lazy(__name__, {"document": ["described"], "example": ["example_of"]})
