# Two commands do all the set-up: `make serve` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: serve test check soak fuzz audit bench bench-core bench-http bench-overload openapi lock clean

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

NATIVE := $(wildcard service/codecs/json/native/*.[ch])

# The service itself is installed editable; its build backend comes from the lock, so nothing is resolved here.
$(VENV)/served: requirements/build.txt requirements/service.txt pyproject.toml hatch_build.py $(NATIVE) | $(VENV)/pyvenv.cfg
	$(PIP) install --require-hashes --requirement requirements/build.txt
	$(PIP) install --require-hashes --requirement requirements/service.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/tested: requirements/test.txt $(VENV)/served
	$(PIP) install --require-hashes --requirement requirements/test.txt
	touch $@

serve: $(VENV)/served
	$(BIN)/attention-service serve --host $(HOST) --port $(PORT)

# Two processes share the tests; what measures time has the machine to itself.
test: $(VENV)/tested
	$(BIN)/python -m pytest -m "not soak and not alone" --numprocesses 2 --dist worksteal
	$(BIN)/python -m pytest -m "not soak and alone" $$($(MARKED)'mark[.]alone')

soak: $(VENV)/tested
	$(BIN)/python -m pytest -m soak $$($(MARKED)'mark[.]soak')

# Looking through all tests takes as long as many of those that are looked for.
MARKED := grep --recursive --files-with-matches --include='*.py' tests --regexp=

# A million inputs to the decoders in this process, then requests over a socket.
FUZZ_INPUTS ?= 1000000
FUZZ_REQUESTS ?= 20000
FUZZ_SEED ?= 1
fuzz: $(VENV)/tested
	$(BIN)/python -m tests.fuzz.run --inputs $(FUZZ_INPUTS) --seed $(FUZZ_SEED)
	$(BIN)/python -m tests.fuzz.over_socket --requests $(FUZZ_REQUESTS) --seed $(FUZZ_SEED)

check: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: bench-core bench-http bench-overload

# PyTorch has an environment of its own, which neither the service nor the tests know; `make bench PEER=…` takes another.
PEER_VENV := .venv-bench
PEER ?= $(PEER_VENV)/bin/python
PEER_READY := $(if $(filter $(PEER_VENV)/%,$(PEER)),$(PEER_VENV)/installed)
BENCH_THREADS ?= 2

$(PEER_VENV)/installed: benchmarks/requirements.txt
	$(PYTHON) -m venv $(PEER_VENV)
	$(PEER_VENV)/bin/pip --disable-pip-version-check --quiet install --requirement $<
	touch $@

bench-core: $(VENV)/tested $(PEER_READY)
	$(BIN)/python -m benchmarks.long_sequences --peer $(PEER) --threads $(BENCH_THREADS)
	$(BIN)/python -m benchmarks.lengths --peer $(PEER) --threads $(BENCH_THREADS)
	$(BIN)/python -m benchmarks.plot
	$(BIN)/python -m benchmarks.cost_model
	$(BIN)/python -m benchmarks.report

# What the service stands beside over HTTP has an environment each, so that none decides the versions of another.
HTTP_PEERS := fastapi mlserver kserve
HTTP_PEERS_READY := $(HTTP_PEERS:%=$(PEER_VENV)-%/installed)

$(HTTP_PEERS_READY): $(PEER_VENV)-%/installed: benchmarks/over_http/requirements/%.txt
	$(PYTHON) -m venv $(PEER_VENV)-$*
	$(PEER_VENV)-$*/bin/pip --disable-pip-version-check --quiet install --requirement $<
	touch $@

bench-http: $(VENV)/tested $(HTTP_PEERS_READY)
	$(BIN)/python -m benchmarks.over_http.table
	$(BIN)/python -m benchmarks.over_http.sizes
	$(BIN)/python -m benchmarks.over_http.shares
	$(BIN)/python -m benchmarks.plot
	$(BIN)/python -m benchmarks.report

bench-overload: $(VENV)/tested $(PEER_VENV)-fastapi/installed
	$(BIN)/python -m benchmarks.over_http.overload
	$(BIN)/python -m benchmarks.plot
	$(BIN)/python -m benchmarks.report

# pip-audit has an environment of its own, which neither the service nor the tests know.
AUDIT_VENV := .venv-audit
LOCKS := requirements/service.txt requirements/build.txt requirements/test.txt

$(AUDIT_VENV)/installed: requirements/audit.txt
	$(PYTHON) -m venv $(AUDIT_VENV)
	$(AUDIT_VENV)/bin/pip --disable-pip-version-check --quiet install --require-hashes --requirement $<
	touch $@

audit: $(AUDIT_VENV)/installed
	$(PYTHON) -m deploy.audit $(AUDIT_VENV)/bin/pip-audit $(LOCKS)

openapi: $(VENV)/served
	$(BIN)/attention-service openapi > openapi/openapi.json.new
	mv openapi/openapi.json.new openapi/openapi.json

# uv comes from the lock it writes; run this after changing the dependencies in pyproject.toml.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"
lock: | $(VENV)/pyvenv.cfg
	$(PIP) install uv
	$(COMPILE) pyproject.toml --output-file requirements/service.txt
	$(COMPILE) --group build --output-file requirements/build.txt
	$(COMPILE) pyproject.toml --extra otel --constraint requirements/service.txt --output-file requirements/otel.txt
	$(COMPILE) --group audit --output-file requirements/audit.txt
	$(COMPILE) pyproject.toml --group test --constraint requirements/service.txt --output-file requirements/test.txt
	$(BIN)/python -m deploy.bill_of_materials requirements/service.txt > requirements/service.cdx.json

clean:
	rm -rf $(VENV) $(AUDIT_VENV) $(PEER_VENV) $(HTTP_PEERS:%=$(PEER_VENV)-%) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
