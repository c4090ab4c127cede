# The gateway: HTTP in, answer out. No torch, no GPU.
#   docker build -f deploy/gateway.Dockerfile -t conclave-gateway:0.1.0 .
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG PIP_INDEX_URL=https://pypi.org/simple
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/conclave
WORKDIR /src
COPY constraints.txt deploy/gateway-requirements.txt ./
RUN /opt/conclave/bin/pip install -c constraints.txt -r gateway-requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY service ./service
COPY workers ./workers
RUN /opt/conclave/bin/pip install --no-deps .

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 conclave && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp conclave
COPY --from=build /opt/conclave /opt/conclave
ENV PATH=/opt/conclave/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["conclave", "gateway"]
