"""Prompts asked and tested on their own: one question as a run, and cases with what is expected of them."""

from surefoot.evals.prompting.asking import FLOW, ask_prompt, hearing
from surefoot.evals.prompting.cases import CasesFile, Expected, PromptCase, ScorerWish, Texts
from surefoot.evals.prompting.junit import junit_xml
from surefoot.evals.prompting.reading import SUFFIX, cases_beside, read_cases
from surefoot.evals.prompting.results import CaseResult, Misses, Results
from surefoot.evals.prompting.running import Asking, run_case

__all__ = [
    "FLOW",
    "SUFFIX",
    "Asking",
    "CaseResult",
    "CasesFile",
    "Expected",
    "Misses",
    "PromptCase",
    "Results",
    "ScorerWish",
    "Texts",
    "ask_prompt",
    "cases_beside",
    "hearing",
    "junit_xml",
    "read_cases",
    "run_case",
]
