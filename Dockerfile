FROM python:3.13-slim AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source

# Two environments: one holds what builds, the other what runs and nothing else, not even pip.
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/venv

# For our own C alone: what is installed comes as wheels, since a build from source would fail late and unclearly.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*

# Dependencies before the source, so that a change of the source does not install them again.
# `--build-arg LOCK=otel` adds what traces need.
ARG LOCK=service
COPY requirements/build.txt requirements/service.txt requirements/otel.txt requirements/
RUN /opt/build/bin/pip install --require-hashes --only-binary :all: --requirement requirements/build.txt \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: --no-compile \
        --requirement requirements/${LOCK}.txt

COPY pyproject.toml hatch_build.py README.md ./
COPY attention_core attention_core
COPY service service
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --no-index --no-compile \
        --find-links /wheels attention-service \
    && /opt/venv/bin/python -I -c "from service.codecs.json import native; raise SystemExit(not native.AVAILABLE)"

# Bytecode that does not depend on the times of the files: some engines round them when they copy between stages, and
# every start would compile everything again, since nothing can be written then.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib


FROM python:3.13-slim

COPY --from=builder /opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ATTENTION_HOST=0.0.0.0 \
    ATTENTION_PORT=8000
EXPOSE 8000

# A number, not a name: Kubernetes cannot tell that a name is not root.
USER 10001:10001

# http.client, because urllib would send the probe through a proxy that the environment names.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["/opt/venv/bin/python", "-c", \
    "import http.client, os; probe = http.client.HTTPConnection('localhost', int(os.environ['ATTENTION_PORT']), timeout=4); probe.request('GET', '/readyz'); raise SystemExit(probe.getresponse().status != 200)"]

ENTRYPOINT ["/opt/venv/bin/attention-service"]
CMD ["serve"]
