# The image that answers requests with one model: Python, the packages of serving.txt and the code that they run, without torch.
#
#   docker buildx build -f infra/docker/serving.Dockerfile --tag fourscore-serving .        in the root of the repository
#   docker run --read-only -v MODEL:/opt/ml/model:ro -p 127.0.0.1:8080:8080 fourscore-serving
#
# SageMaker mounts the unpacked model.tar.gz at /opt/ml/model and passes 'serve' as the argument.
FROM docker.io/library/python:3.11.17-slim-trixie@sha256:45037981b62b34b44602584fccbc4d884d5f7dc92c7ee86bb38a698a79fe1e51 AS python

FROM python AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/venv
COPY infra/docker/serving.txt /tmp/
RUN python -m pip --python /opt/venv/bin/python install --no-deps --only-binary=:all: --require-hashes -r /tmp/serving.txt \
 && python -m pip --python /opt/venv/bin/python check
COPY model_code /opt/fourscore/model_code
COPY steps/__init__.py steps/errors.py /opt/fourscore/steps/
COPY infra/__init__.py /opt/fourscore/infra/
COPY infra/serving /opt/fourscore/infra/serving
# compiled here, since the file system may be read-only where it runs, and a start would compile all of it
RUN python -m compileall -q /opt/fourscore \
 && PYTHONPATH=/opt/fourscore /opt/venv/bin/python -c "import infra.serving.model, infra.serving.server, onnxruntime"

FROM python AS serving
RUN python -m pip uninstall --yes --root-user-action=ignore pip
COPY --from=packages /opt/venv /opt/venv
COPY --from=packages /opt/fourscore /opt/fourscore
# FOURSCORE_MODEL_DIGEST: the digest that the model must have; with it onnxruntime answers, without it numpy behind the guard of archives.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/fourscore \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    HOME=/tmp \
    FOURSCORE_HOST=0.0.0.0
# Nothing is written, so no user needs rights; the port is above 1024.
USER 65532:65532
EXPOSE 8080
# SageMaker asks /ping itself.
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/ping', timeout=2)"]
# In exec form, so that SIGTERM reaches the server itself.
ENTRYPOINT ["python", "-m", "infra.serving"]
