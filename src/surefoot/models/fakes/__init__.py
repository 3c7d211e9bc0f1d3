"""Models that answer from a script or from the record, for tests: they ship, as users need them too."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.models.fakes.cassette import Cassette as Cassette
    from surefoot.models.fakes.cassette import RecordedCall as RecordedCall
    from surefoot.models.fakes.recorded import Recording as Recording
    from surefoot.models.fakes.recorded import cassettes as cassettes
    from surefoot.models.fakes.recorded import readable as readable
    from surefoot.models.fakes.recorded import recorded as recorded
    from surefoot.models.fakes.requests import ModelRequest as ModelRequest
    from surefoot.models.fakes.scripted import Script as Script
    from surefoot.models.fakes.scripted import scripted as scripted
    from surefoot.models.fakes.sending import GivenReply as GivenReply
    from surefoot.models.fakes.sending import answered as answered
    from surefoot.models.fakes.sending import is_free as is_free
    from surefoot.models.fakes.sending import or_fake as or_fake
    from surefoot.models.fakes.sending import or_fake_async as or_fake_async
    from surefoot.models.fakes.standing import Fake as Fake
    from surefoot.models.fakes.standing import current as current
    from surefoot.models.fakes.standing import standing_in as standing_in
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "cassette": ["Cassette", "RecordedCall"],
            "recorded": ["Recording", "cassettes", "readable", "recorded"],
            "requests": ["ModelRequest"],
            "scripted": ["Script", "scripted"],
            "sending": ["GivenReply", "answered", "is_free", "or_fake", "or_fake_async"],
            "standing": ["Fake", "current", "standing_in"],
        },
    )
