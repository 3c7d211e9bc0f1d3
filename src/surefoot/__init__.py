"""Surefoot: LLM workflows that keep their footing.

    from surefoot import Workflow, flow, step

Names are loaded when they are first used, so that `import surefoot` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.app import App as App
    from surefoot.errors import SurefootError as SurefootError
    from surefoot.evals import Case as Case
    from surefoot.evals import Dataset as Dataset
    from surefoot.evals import Gate as Gate
    from surefoot.evals import Score as Score
    from surefoot.evals import compare as compare
    from surefoot.evals import evaluate as evaluate
    from surefoot.flows import Workflow as Workflow
    from surefoot.flows import carry as carry
    from surefoot.flows import current_run as current_run
    from surefoot.flows import current_step as current_step
    from surefoot.flows import fork as fork
    from surefoot.flows import last_run as last_run
    from surefoot.flows import now as now
    from surefoot.flows import random as random
    from surefoot.flows import send as send
    from surefoot.flows import sleep as sleep
    from surefoot.flows import trace_headers as trace_headers
    from surefoot.flows import uuid4 as uuid4
    from surefoot.flows import wait_for as wait_for
    from surefoot.flows.flow import flow as flow
    from surefoot.flows.step import step as step
    from surefoot.models import Call as Call
    from surefoot.models import Fallback as Fallback
    from surefoot.models import Reply as Reply
    from surefoot.models import Router as Router
    from surefoot.models import Tier as Tier
    from surefoot.models import Tiered as Tiered
    from surefoot.models import autolog as autolog
    from surefoot.models import embed as embed
    from surefoot.models import generate as generate
    from surefoot.models import http_client as http_client
    from surefoot.models import recorded as recorded
    from surefoot.models import scripted as scripted
    from surefoot.models import wrap as wrap
    from surefoot.prompts import Prompty as Prompty
    from surefoot.prompts import prompt as prompt
    from surefoot.texts.text import Text as Text
    from surefoot.trusting import endorse as endorse
    from surefoot.trusting import trusted as trusted
    from surefoot.values import Done as Done
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "app": ["App"],
            "errors": ["SurefootError"],
            "evals": ["Case", "Dataset", "Gate", "Score", "compare", "evaluate"],
            "flows": [
                "Workflow",
                "carry",
                "current_run",
                "current_step",
                "fork",
                "last_run",
                "now",
                "random",
                "send",
                "sleep",
                "trace_headers",
                "uuid4",
                "wait_for",
            ],
            "flows.flow": ["flow"],
            "flows.step": ["step"],
            "models": [
                "Call",
                "Fallback",
                "Reply",
                "Router",
                "Tier",
                "Tiered",
                "autolog",
                "embed",
                "generate",
                "http_client",
                "recorded",
                "scripted",
                "wrap",
            ],
            "prompts": ["Prompty", "prompt"],
            "texts.text": ["Text"],
            "trusting": ["endorse", "trusted"],
            "values": ["Done"],
        },
    )
    doors.fitted_by("surefoot.fitting")

__all__ = [
    "App",
    "Call",
    "Case",
    "Dataset",
    "Done",
    "Fallback",
    "Gate",
    "Prompty",
    "Reply",
    "Router",
    "Score",
    "SurefootError",
    "Text",
    "Tier",
    "Tiered",
    "Workflow",
    "autolog",
    "carry",
    "compare",
    "current_run",
    "current_step",
    "embed",
    "endorse",
    "evaluate",
    "flow",
    "fork",
    "generate",
    "http_client",
    "last_run",
    "now",
    "prompt",
    "random",
    "recorded",
    "scripted",
    "send",
    "sleep",
    "step",
    "trace_headers",
    "trusted",
    "uuid4",
    "wait_for",
    "wrap",
]
