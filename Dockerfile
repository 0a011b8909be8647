# One image for the init container of injected pods, the exporter and the webhook.
#
#   docker build --tag primus-lens-wandb .
#
# buildah and podman build it too. Where no public image can be pulled, PYTHON_IMAGE names one of
# Debian with Python 3.11 or newer and pip, which is then used for every stage.
ARG PYTHON_IMAGE
ARG BASE_IMAGE=${PYTHON_IMAGE:-python:3.11-slim-bookworm}
# The Pythons that pods may run, each for its byte code. A version left out costs such a pod some
# 30 million instructions at every start of Python, and nothing else.
ARG PYTHON_3_7_IMAGE=${PYTHON_IMAGE:-python:3.7-slim-bookworm}
ARG PYTHON_3_8_IMAGE=${PYTHON_IMAGE:-python:3.8-slim-bookworm}
ARG PYTHON_3_9_IMAGE=${PYTHON_IMAGE:-python:3.9-slim-bookworm}
ARG PYTHON_3_10_IMAGE=${PYTHON_IMAGE:-python:3.10-slim-bookworm}
ARG PYTHON_3_12_IMAGE=${PYTHON_IMAGE:-python:3.12-slim-bookworm}
ARG PYTHON_3_13_IMAGE=${PYTHON_IMAGE:-python:3.13-slim-bookworm}
ARG PYTHON_3_14_IMAGE=${PYTHON_IMAGE:-python:3.14-slim-bookworm}
# Whatever Debian it is of: only byte code leaves that stage.
ARG PYTHON_3_15_IMAGE=${PYTHON_IMAGE:-python:3.15-slim}

FROM ${BASE_IMAGE} AS exec-wrapper
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends musl-tools
COPY packaging/exec_wrapper /src
RUN mkdir /bin-of-pods && /src/build.sh /bin-of-pods/exec

FROM ${BASE_IMAGE} AS tree
COPY hook /src/hook
COPY cli /src/cli
COPY packaging/payload /src/packaging/payload
RUN python /src/packaging/payload/build.py tree /payload && python /src/packaging/payload/build.py compile /payload

# Each starts from the same sources and adds its own files to __pycache__.
FROM ${PYTHON_3_7_IMAGE} AS python-3.7
COPY --from=tree /src /src
COPY --from=tree /payload /payload
RUN python /src/packaging/payload/build.py compile /payload
FROM ${PYTHON_3_8_IMAGE} AS python-3.8
COPY --from=tree /src /src
COPY --from=tree /payload /payload
RUN python /src/packaging/payload/build.py compile /payload
FROM ${PYTHON_3_9_IMAGE} AS python-3.9
COPY --from=tree /src /src
COPY --from=tree /payload /payload
RUN python /src/packaging/payload/build.py compile /payload
FROM ${PYTHON_3_10_IMAGE} AS python-3.10
COPY --from=tree /src /src
COPY --from=tree /payload /payload
RUN python /src/packaging/payload/build.py compile /payload
FROM ${PYTHON_3_12_IMAGE} AS python-3.12
COPY --from=tree /src /src
COPY --from=tree /payload /payload
RUN python /src/packaging/payload/build.py compile /payload
FROM ${PYTHON_3_13_IMAGE} AS python-3.13
COPY --from=tree /src /src
COPY --from=tree /payload /payload
RUN python /src/packaging/payload/build.py compile /payload
FROM ${PYTHON_3_14_IMAGE} AS python-3.14
COPY --from=tree /src /src
COPY --from=tree /payload /payload
RUN python /src/packaging/payload/build.py compile /payload
FROM ${PYTHON_3_15_IMAGE} AS python-3.15
COPY --from=tree /src /src
COPY --from=tree /payload /payload
RUN python /src/packaging/payload/build.py compile /payload

FROM ${BASE_IMAGE} AS payload
COPY --from=tree /payload /payload
COPY --from=python-3.7 /payload /payload
COPY --from=python-3.8 /payload /payload
COPY --from=python-3.9 /payload /payload
COPY --from=python-3.10 /payload /payload
COPY --from=python-3.12 /payload /payload
COPY --from=python-3.13 /payload /payload
COPY --from=python-3.14 /payload /payload
COPY --from=python-3.15 /payload /payload
COPY --from=exec-wrapper /bin-of-pods /payload/bin
RUN chmod -R a=rX /payload

FROM ${BASE_IMAGE} AS package
COPY . /src
# pip comes from outside the environments, which the image then has without one. What is installed,
# and what builds our own wheel, are the files that requirements/ names by their hashes.
WORKDIR /src
RUN python -m venv --without-pip /build \
    && python -m pip --python /build/bin/python install --no-cache-dir --quiet \
        --require-hashes --requirement requirements/build.txt \
    && /build/bin/python -m hatchling build --target wheel --directory /build/dist \
    && python -m venv --without-pip /usr/lib/primus-lens \
    && python -m pip --python /usr/lib/primus-lens/bin/python install --no-cache-dir --quiet \
        --require-hashes --requirement requirements/image.txt \
    && python -m pip --python /usr/lib/primus-lens/bin/python install --no-cache-dir --quiet \
        --no-deps /build/dist/*.whl

FROM ${BASE_IMAGE}
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="Primus Lens WandB" \
      org.opencontainers.image.description="Every wandb.log of an unmodified training job as Prometheus series" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=payload /payload /usr/share/primus-lens/payload
COPY --from=package /usr/lib/primus-lens /usr/lib/primus-lens
ENV PATH=/usr/lib/primus-lens/bin:$PATH PYTHONUNBUFFERED=1
# By number, so that runAsNonRoot can be checked before the container starts.
USER 65532:65532
ENTRYPOINT ["primus-lens"]
