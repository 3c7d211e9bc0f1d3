"""Which code and which runs use which prompt, and whether a version of it still fits them."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.prompts.fitting.fit import Misfit as Misfit
    from surefoot.prompts.fitting.fit import misfits as misfits
    from surefoot.prompts.fitting.recorded import standing as standing
    from surefoot.prompts.fitting.scanning import scan as scan
    from surefoot.prompts.fitting.uses import Given as Given
    from surefoot.prompts.fitting.uses import Left as Left
    from surefoot.prompts.fitting.uses import Scanned as Scanned
    from surefoot.prompts.fitting.uses import Use as Use
    from surefoot.prompts.fitting.uses import User as User
    from surefoot.prompts.fitting.uses import concerned as concerned
    from surefoot.prompts.fitting.uses import users as users
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "fit": ["Misfit", "misfits"],
            "recorded": ["standing"],
            "scanning": ["scan"],
            "uses": ["Given", "Left", "Scanned", "Use", "User", "concerned", "users"],
        },
    )
