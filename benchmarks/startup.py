"""What it costs to start, against promptflow and litellm."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from benchmarks.harness import Contender, Ratio, Report, interleaved, output_of, peer, process, version_of

ROUNDS = 15
# Above a bare interpreter: CPU seconds and MB for the import; CPU seconds for the help.
IMPORT_CPU, IMPORT_MB, HELP_CPU = 0.15, 20.0, 0.30
# The door finds its names when they are asked for, so peers are compared with what a flow really imports.
NAMES = "from surefoot import App, Prompty, Workflow, flow, step"
# The part of a peer's import that ours may cost.
AGAINST_PEERS = 0.25

PEERS = {
    "promptflow": ("promptflow==1.18.5", "import promptflow"),
    "promptflow.core": ("promptflow==1.18.5", "from promptflow.core import Prompty, tool"),
    "litellm": ("litellm==1.106.2", "import litellm"),
}
# The kernel's peak of a child can be that of the parent it was split from; this one begins at the interpreter.
PEAK_MB = """
import sys
if sys.platform == "linux":
    with open("/proc/self/status") as status:
        print(next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")))
else:
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / 1024)
"""


def run() -> Report:
    """CPU and wall time of whole processes, and the peak of their resident memory."""
    ours = Path(sys.executable)
    starts = {
        "bare interpreter": (ours, "pass"),
        "import surefoot": (ours, "import surefoot"),
        NAMES: (ours, NAMES),
        **{name: (peer("startup", pin), statement) for name, (pin, statement) in PEERS.items()},
    }
    versions = {
        "bare interpreter": sys.version.split()[0],
        **dict.fromkeys(("import surefoot", NAMES, "surefoot --help"), version_of(ours, "surefoot")),
        **{name: version_of(starts[name][0], pin.partition("==")[0]) for name, (pin, _) in PEERS.items()},
    }
    contenders = [
        *(
            Contender(name, versions[name], partial(process, [python, "-c", statement]))
            for name, (python, statement) in starts.items()
        ),
        Contender(
            "surefoot --help",
            versions["surefoot --help"],
            partial(process, [ours.parent / "surefoot", "--help"]),
        ),
    ]
    medians = interleaved(contenders, rounds=ROUNDS)
    peaks = {name: peak_mb(python, statement) for name, (python, statement) in starts.items()}

    bare = medians["bare interpreter"].cpu
    above = {name: medians[name].cpu - bare for name in medians}
    above_mb = peaks["import surefoot"] - peaks["bare interpreter"]
    budget = f"the budget is {IMPORT_CPU * 1000:.0f} ms and {IMPORT_MB:.0f} MB"
    cost = f"{above['import surefoot'] * 1000:.0f} ms CPU and {above_mb:.1f} MB above a bare interpreter"
    help_cpu = medians["surefoot --help"].cpu
    rows = [
        [
            contender.name,
            contender.version,
            f"{medians[contender.name].cpu * 1000:.0f}",
            f"{above[contender.name] * 1000:.0f}",
            f"{medians[contender.name].wall * 1000:.0f}",
            f"{peaks[contender.name]:.1f}" if contender.name in peaks else "",
        ]
        for contender in contenders
    ]
    return Report(
        name="startup",
        title=f"Whole processes, median of {ROUNDS} interleaved rounds.",
        columns=["contender", "version", "CPU ms", "above bare ms", "wall ms", "peak MB"],
        rows=rows,
        notes=[
            f"- `import surefoot`: {cost}; {budget}.",
            f"- `surefoot --help`: {help_cpu * 1000:.0f} ms CPU in all; the budget is {HELP_CPU * 1000:.0f} ms.",
            f"- Peers: their import and `{NAMES}` are compared above a bare interpreter.",
        ],
        ratios=[
            Ratio("budget:import-cpu", above["import surefoot"] / IMPORT_CPU, 1.0),
            Ratio("budget:import-memory", above_mb / IMPORT_MB, 1.0),
            Ratio("budget:help-cpu", help_cpu / HELP_CPU, 1.0),
            Ratio("budget:names-cpu", above[NAMES] / IMPORT_CPU, 1.0),
            *(Ratio(name, above[NAMES] / above[name], AGAINST_PEERS) for name in PEERS),
        ],
    )


def peak_mb(python: Path, statement: str) -> float:
    """The peak of resident memory of an interpreter that has run a statement."""
    return float(output_of([python, "-c", f"{statement}\n{PEAK_MB}"]).splitlines()[-1])
