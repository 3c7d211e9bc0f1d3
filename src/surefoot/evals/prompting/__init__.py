"""Prompts asked and tested on their own: one question as a run, and cases with what is expected of them."""

from surefoot.evals.prompting.asking import ask_prompt, hearing
from surefoot.evals.prompting.cases import CasesFile, PromptCase
from surefoot.evals.prompting.junit import junit_xml
from surefoot.evals.prompting.reading import SUFFIX, cases_beside, read_cases
from surefoot.evals.prompting.results import CaseResult, Results
from surefoot.evals.prompting.running import Asking, run_case

__all__ = [
    "SUFFIX",
    "Asking",
    "CaseResult",
    "CasesFile",
    "PromptCase",
    "Results",
    "ask_prompt",
    "cases_beside",
    "hearing",
    "junit_xml",
    "read_cases",
    "run_case",
]
