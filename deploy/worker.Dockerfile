# A worker: jobs in, samples out. The CUDA build of torch brings its own CUDA libraries; the host brings the driver.
#   docker build -f deploy/worker.Dockerfile -t conclave-worker:0.1.0-cuda .
#   docker build -f deploy/worker.Dockerfile -t conclave-worker:0.1.0-cpu --build-arg TORCH_BUILD=cpu .
#   docker build -f deploy/worker.Dockerfile -t conclave-worker:0.1.0-vllm --build-arg EXTRAS=vllm .
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG PIP_INDEX_URL=https://pypi.org/simple
ARG TORCH_VERSION=2.13.0
ARG TORCH_BUILD=cu130
ARG TORCH_INDEX=https://download.pytorch.org/whl/${TORCH_BUILD}
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/conclave
WORKDIR /src
COPY constraints.txt ./
# The build is named, so an index that lacks it fails here instead of handing over another one. PyPI stays beside PyTorch's
# index because that one does not carry every library that the CUDA wheels ask for.
RUN sed -E '/^torch==/d' constraints.txt > versions.txt \
    && /opt/conclave/bin/pip install -c versions.txt --extra-index-url "${TORCH_INDEX}" "torch==${TORCH_VERSION}+${TORCH_BUILD}"
COPY pyproject.toml README.md LICENSE ./
COPY service ./service
COPY workers ./workers
# vLLM names versions of its own for what it shares with us, so those tested here bind only where it is left out.
ARG EXTRAS=
RUN if [ -z "${EXTRAS}" ]; then /opt/conclave/bin/pip install -c versions.txt .; else \
    /opt/conclave/bin/pip install --extra-index-url "${TORCH_INDEX}" "torch==${TORCH_VERSION}+${TORCH_BUILD}" ".[${EXTRAS}]"; fi

FROM ${PYTHON_IMAGE}
# Triton, which comes with vLLM, compiles a small launcher for each kernel while the model is loaded.
ARG EXTRAS=
RUN if [ -n "${EXTRAS}" ]; then apt-get update && apt-get install -y --no-install-recommends gcc g++ libc6-dev \
    && rm -rf /var/lib/apt/lists/*; fi
RUN groupadd --gid 10001 conclave && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp conclave
COPY --from=build /opt/conclave /opt/conclave
# A model is a local folder: a worker never waits for a hub that its network cannot reach.
ENV PATH=/opt/conclave/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1
ENV CONCLAVE_WORKER_METRICS_HOST=0.0.0.0 CONCLAVE_WORKER_METRICS_PORT=9100
WORKDIR /tmp
USER 10001:10001
EXPOSE 9100
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9100/healthz', timeout=2)"]
CMD ["conclave", "worker", "--model", "abacus=abacus"]
