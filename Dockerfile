# The documentation site: what builds it is in no other stage.
FROM python:3.13-slim AS guide

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
RUN python3 -m venv /opt/guide
COPY requirements/docs.txt requirements/
RUN /opt/guide/bin/pip install --require-hashes --only-binary :all: --requirement requirements/docs.txt
# The pages, and every file that they link to.
COPY pyproject.toml README.md README.zh-CN.md CONTRIBUTING.md CHANGELOG.md SECURITY.md LICENSE ./
COPY benchmarks benchmarks
COPY deploy deploy
COPY development development
COPY docs docs
COPY examples examples
COPY openapi openapi
COPY service/pages/favicon.svg service/pages/
RUN /opt/guide/bin/python -m development.guide /guide


FROM python:3.13-slim AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source

# Two environments: one for building, and one that the image keeps, which holds nothing else, not even pip.
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/venv

# The compiler is for this project's C alone: dependencies are installed as wheels, since building one would fail late.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*

# Dependencies before the source, so that a change of the source does not install them again.
# `--build-arg LOCK=otel` adds the packages for traces, LOCK=redis that for memories in Redis, LOCK=otel-redis both, and
# LOCK=ray those of Ray and Redis.
ARG LOCK=service
COPY requirements/build.txt requirements/service.txt requirements/otel.txt requirements/redis.txt \
    requirements/otel-redis.txt requirements/ray.txt requirements/
RUN /opt/build/bin/pip install --require-hashes --only-binary :all: --requirement requirements/build.txt \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: --no-compile \
        --requirement requirements/${LOCK}.txt

COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY attention_core attention_core
COPY attention_heat_map attention_heat_map
COPY attention_wire attention_wire
COPY distributions distributions
COPY service service
COPY --from=guide /guide service/pages/guide
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels ./distributions/attention-core . \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --no-index --no-compile \
        --find-links /wheels attention-core attention-service \
    && /opt/venv/bin/python -I -c "from service.codecs.json import native; raise SystemExit(not native.AVAILABLE)"

# Bytecode that does not depend on the times of the files: some engines round them when they copy between stages, and
# every start would compile everything again, since nothing can be written then.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

# An engine gives a new volume the owner and the mode of the directory in the image.
RUN mkdir --parents --mode 0700 /state/attention-service


FROM python:3.13-slim

COPY --from=builder /opt/venv /opt/venv
COPY --from=builder --chown=10001:10001 /state/attention-service /var/lib/attention-service

# Memories are kept in attention-service/memories below XDG_STATE_HOME. Where the engine has made no volume and the root
# is read-only, the service works without them and warns; a directory that ATTENTION_MEMORIES_DIRECTORY names must be
# usable, so that it is not named here but beside the volume that an operator mounts.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ATTENTION_HOST=0.0.0.0 \
    XDG_STATE_HOME=/var/lib
VOLUME /var/lib/attention-service
# The default port. It is no variable here, so that platforms can say another with PORT.
EXPOSE 8000

# A number, not a name: Kubernetes cannot tell that a name is not root.
USER 10001:10001

# It reads the same settings as the service, and asks no proxy that the environment names.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["/opt/venv/bin/attention-service", "healthcheck"]

ENTRYPOINT ["/opt/venv/bin/attention-service"]
CMD ["serve"]
