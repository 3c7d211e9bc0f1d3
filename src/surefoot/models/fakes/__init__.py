"""Models that answer from a script or from the record, for tests: they ship, as users need them too."""

from surefoot.models.fakes.cassette import Cassette, RecordedCall
from surefoot.models.fakes.recorded import Recording, cassettes, readable, recorded
from surefoot.models.fakes.requests import ModelRequest
from surefoot.models.fakes.scripted import Script, scripted
from surefoot.models.fakes.sending import GivenReply, answered, is_free, or_fake, or_fake_async
from surefoot.models.fakes.standing import Fake, current, standing_in

__all__ = [
    "Cassette",
    "Fake",
    "GivenReply",
    "ModelRequest",
    "RecordedCall",
    "Recording",
    "Script",
    "answered",
    "cassettes",
    "current",
    "is_free",
    "or_fake",
    "or_fake_async",
    "readable",
    "recorded",
    "scripted",
    "standing_in",
]
