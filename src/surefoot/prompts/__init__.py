"""Prompts: files in two forms and several dialects, the library that finds them, and their rendering."""

from surefoot.prompts.asking import Generation, generation
from surefoot.prompts.comparing import Change, Comparison, compared, unified
from surefoot.prompts.definition import Dialect, Prompt, Property, PropertyType
from surefoot.prompts.indexing import Library, library
from surefoot.prompts.loading import load
from surefoot.prompts.prompty import Prompty, prompt
from surefoot.prompts.segments import Segment
from surefoot.prompts.upgrading import Upgrade, upgraded
from surefoot.prompts.versions import Edited, LabelDifference, PromptVersion

__all__ = [
    "Change",
    "Comparison",
    "Dialect",
    "Edited",
    "Generation",
    "LabelDifference",
    "Library",
    "Prompt",
    "PromptVersion",
    "Prompty",
    "Property",
    "PropertyType",
    "Segment",
    "Upgrade",
    "compared",
    "generation",
    "library",
    "load",
    "prompt",
    "unified",
    "upgraded",
]
