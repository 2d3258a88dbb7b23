# The exporter in one layer on top of a Python image.
#
#   docker build --tag localai-p2p-exporter .
#
# Both images may be any others of the same Python minor version and libc. The runtime needs the certificates of the
# authorities where LocalAI is asked by https, and no shell, no pip and no package manager. Pin both by digest,
# IMAGE@sha256:..., and a build can be repeated to the byte:
#
#   SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) docker buildx build --build-arg REVISION=$(git rev-parse HEAD) \
#     --build-arg BUILD_IMAGE=... --build-arg RUNTIME_IMAGE=... --output type=image,name=...,rewrite-timestamp=true .

ARG BUILD_IMAGE=python:3.13-slim
ARG RUNTIME_IMAGE=python:3.13-slim
ARG VERSION=0.1.0

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
RUN python3 -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/build.txt requirements/run.txt requirements/
# What is no wheel would run code of strangers here, and want a compiler.
RUN pip install --require-hashes --only-binary :all: --requirement requirements/build.txt && \
    pip install --require-hashes --only-binary :all: --no-compile --requirement requirements/run.txt --target /app && \
    rm -r /app/bin
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
# No wheel has this name where the version is another than that of exporter/__init__.py.
ARG VERSION
ARG SOURCE_DATE_EPOCH=0
# Byte code bears a hash of its source that nobody checks, instead of the source's time. Hashes of strings are the same
# in every build, and with them the order of sets in it. The scripts in bin name the Python of this stage.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /dist . && \
    pip install --no-deps --no-index --no-compile --target /app "/dist/localai_p2p_exporter-${VERSION}-py3-none-any.whl" && \
    rm -r /app/bin && \
    PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash /app && \
    find /app -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +

# Ends the build where the runtime's Python cannot load what was compiled for that of the build.
FROM ${RUNTIME_IMAGE} AS proof
ENV PYTHONPATH=/app PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /app /app
RUN ["python3", "-c", "import exporter.cli, yaml.cyaml"]

FROM ${RUNTIME_IMAGE}
ENV PYTHONPATH=/app PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=proof /app /app
ARG RUNTIME_IMAGE
ARG VERSION
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="localai-p2p-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the P2P API of LocalAI" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${RUNTIME_IMAGE}"
USER 65532:65532
EXPOSE 10040
# Another address than the default reaches this one too where a variable gives it: P2P_EXPORTER_WEB_LISTEN_ADDRESS.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["python3", "-m", "exporter", "healthcheck"]
ENTRYPOINT ["python3", "-m", "exporter"]
