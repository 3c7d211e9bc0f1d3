"""The detection of prompt injections: a score, and the names of rules that match."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.guards.detecting.classifier import Weights as Weights
    from surefoot.guards.detecting.detector import THRESHOLD as THRESHOLD
    from surefoot.guards.detecting.detector import Detector as Detector
    from surefoot.guards.detecting.detector import Looked as Looked
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {"classifier": ["Weights"], "detector": ["THRESHOLD", "Detector", "Looked"]},
    )
