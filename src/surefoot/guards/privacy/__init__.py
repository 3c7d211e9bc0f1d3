"""Secrets and personal data in text: found, named, and kept from leaving."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.guards.privacy.credentials import MASK as MASK
    from surefoot.guards.privacy.finder import Finder as Finder
    from surefoot.guards.privacy.finder import check_pattern as check_pattern
    from surefoot.guards.privacy.holdback import Holdback as Holdback
    from surefoot.guards.privacy.known import InEnvironment as InEnvironment
    from surefoot.guards.privacy.known import Known as Known
    from surefoot.guards.privacy.known import spellings as spellings
    from surefoot.guards.privacy.personal import KINDS as KINDS
    from surefoot.guards.privacy.personal import PersonalKind as PersonalKind
    from surefoot.guards.privacy.pseudonyms import Pseudonyms as Pseudonyms
    from surefoot.guards.privacy.rule import Found as Found
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "credentials": ["MASK"],
            "finder": ["Finder", "check_pattern"],
            "holdback": ["Holdback"],
            "known": ["InEnvironment", "Known", "spellings"],
            "personal": ["KINDS", "PersonalKind"],
            "pseudonyms": ["Pseudonyms"],
            "rule": ["Found"],
        },
    )
