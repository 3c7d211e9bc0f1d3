# An image of `surefoot serve`: what is locked in requirements/server.txt, no compiler, no pip, and no root.
# For a build that is the same byte for byte, give the base by its digest: --build-arg PYTHON=3.11-slim-bookworm@sha256:...
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /build
COPY requirements/build.txt requirements/server.txt requirements/
# Wheels alone, each by its hash: nothing is compiled here, and nothing runs that was not locked.
RUN python -m venv /opt/build \
 && /opt/build/bin/python -m pip install --require-hashes --no-deps --only-binary :all: -r requirements/build.txt \
 && python -m venv --without-pip /opt/surefoot \
 && python -m pip --python /opt/surefoot/bin/python install --require-hashes --no-deps --only-binary :all: \
      -r requirements/server.txt
COPY pyproject.toml README.md LICENSE .gitignore ./
COPY src src
COPY examples examples
RUN /opt/build/bin/python -m hatchling build --target wheel \
 && python -m pip --python /opt/surefoot/bin/python install --no-deps --no-index dist/*.whl

FROM python:${PYTHON}
# Who has no shell, no home and no pip. Its number is fixed, for the owner of volumes.
RUN groupadd --gid 10001 surefoot \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin surefoot \
 && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/surefoot \
 && install --directory --mode 0755 /app /app/flows \
 && python -m pip uninstall --yes --quiet --root-user-action ignore pip
COPY --from=build /opt/surefoot /opt/surefoot
# State lies in one place; everything else may be mounted read-only.
ENV PATH=/opt/surefoot/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SUREFOOT_HOME=/var/lib/surefoot
WORKDIR /app
USER 10001:10001
EXPOSE 8720
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8720/healthz', timeout=4).close()"]
ENTRYPOINT ["surefoot"]
CMD ["serve", "/app/flows", "--host", "0.0.0.0", "--port", "8720"]
