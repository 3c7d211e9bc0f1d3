"""`make conformance-metrics`: the scores that ragas computes from given answers of judges, and ours from the same ones.

DATA names a file of lines `{id, api, metric, params, sample, llm_outputs, llm_calls, embeddings, expected}`; it is
looked for in ../shared/conformance too.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from cases import judged

SHARED = Path("../shared/conformance")
_MOST = 160


def main() -> int:
    """1 where a score, an error or a number of calls differs."""
    parser = argparse.ArgumentParser(prog="make conformance-metrics")
    parser.add_argument("--data", default="ragas_parity.jsonl")
    given = parser.parse_args()
    path = next((path for path in (Path(given.data), SHARED / given.data) if path.is_file()), None)
    if path is None:
        print(f"neither here nor in {SHARED}: {given.data}; nothing was checked")
        return 0
    passed = failed = 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        case = json.loads(line)
        problem = judged(case)
        passed, failed = passed + (problem is None), failed + (problem is not None)
        if problem is not None:
            print(f"{path.name}:{number} {case['id']}: {problem[:_MOST]}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
