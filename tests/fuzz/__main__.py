"""`make fuzz-atheris`: each target under a fuzzer that is led by coverage, for a bounded time."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz-atheris", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", action="append", help="this one only; may be given several times")
    parser.add_argument("--in-child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.in_child:
        return fuzz(given.in_child, given.seconds)
    from targets import TARGETS

    failed: list[str] = []
    for name in given.target or TARGETS:
        # A process for each: a fuzzer ends its process with the first fault.
        with tempfile.TemporaryDirectory(prefix="surefoot-fuzz-") as folder:
            for at, seed in enumerate(TARGETS[name].seeds):
                Path(folder, f"seed-{at}").write_bytes(seed)
            command = [sys.executable, __file__, "--in-child", name, "--seconds", str(given.seconds)]
            done = subprocess.run(
                command, env=os.environ | {"FUZZ_CORPUS": folder}, capture_output=True, text=True, check=False
            )
        runs = next((line for line in done.stderr.splitlines() if line.startswith("Done ")), "")
        print(f"{name:<18} {runs or 'FAILED'}", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stdout, done.stderr[-4000:], sep="\n")
    print(f"{len(failed)} targets failed" + (f": {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def fuzz(name: str, seconds: int) -> int:
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris (Linux and macOS, Python up to 3.13)")
        return 2
    with atheris.instrument_imports(include=["surefoot"]):
        from targets import TARGETS
    target = TARGETS[name]
    corpus = os.environ["FUZZ_CORPUS"]
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", corpus], lambda data: target(bytes(data))
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
