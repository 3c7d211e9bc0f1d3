"""Prompts: files in two forms and several dialects, the library that finds them, and their rendering."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.prompts.asking import Generation as Generation
    from surefoot.prompts.asking import generation as generation
    from surefoot.prompts.comparing import Change as Change
    from surefoot.prompts.comparing import Comparison as Comparison
    from surefoot.prompts.comparing import compared as compared
    from surefoot.prompts.comparing import unified as unified
    from surefoot.prompts.definition import Dialect as Dialect
    from surefoot.prompts.definition import Prompt as Prompt
    from surefoot.prompts.definition import Property as Property
    from surefoot.prompts.definition import PropertyType as PropertyType
    from surefoot.prompts.indexing import Library as Library
    from surefoot.prompts.indexing import library as library
    from surefoot.prompts.loading import load as load
    from surefoot.prompts.prompty import Prompty as Prompty
    from surefoot.prompts.prompty import prompt as prompt
    from surefoot.prompts.segments import Segment as Segment
    from surefoot.prompts.upgrading import Upgrade as Upgrade
    from surefoot.prompts.upgrading import upgraded as upgraded
    from surefoot.prompts.versions import Edited as Edited
    from surefoot.prompts.versions import LabelDifference as LabelDifference
    from surefoot.prompts.versions import PromptVersion as PromptVersion
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "asking": ["Generation", "generation"],
            "comparing": ["Change", "Comparison", "compared", "unified"],
            "definition": ["Dialect", "Prompt", "Property", "PropertyType"],
            "indexing": ["Library", "library"],
            "loading": ["load"],
            "prompty": ["Prompty", "prompt"],
            "segments": ["Segment"],
            "upgrading": ["Upgrade", "upgraded"],
            "versions": ["Edited", "LabelDifference", "PromptVersion"],
        },
    )
