"""What a good answer is here: `surefoot eval examples/tiering --frontier` draws cost against quality."""

from __future__ import annotations

from workflow import answer

from surefoot.evals import Evaluation, contains_expected

evaluation = Evaluation(
    answer,
    [contains_expected],
    data="golden.jsonl",
    reads={"response": "answer"},
    name="tiering",
)
