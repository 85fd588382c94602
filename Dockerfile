# The service, without the packages that only training needs.
#
#     docker build -t face-recognition-img .
#     docker run -dit --rm --name face-recognition-service -p8000:8000 face-recognition-img
#
# Photos are labelled with
#
#     mkdir -p labels
#     docker run --rm -v "$PWD/photos:/photos:ro" -v "$PWD/labels:/labels" --user "$(id -u)" face-recognition-img \
#         facerec label /photos --output /labels
#
# Settings are environment variables (facerec/serving/settings.py). The container also runs with `--read-only --tmpfs /tmp`.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
RUN python -m pip install --no-cache-dir uv
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-default-groups --no-install-project --no-cache --no-python-downloads
# Remove a quarter of the image that serving never uses: ONNX Runtime's tools and its library for C programs (Python's has
# its own copy), the command line of fastapi[standard], tests and type stubs.
RUN uv pip uninstall fastapi-cli fastapi-cloud-cli fastar pygments rich rich-toolkit rignore sentry-sdk typer \
 && cd .venv/lib/python*/site-packages \
 && rm -r onnxruntime/capi/libonnxruntime.so* onnxruntime/quantization onnxruntime/tools onnxruntime/transformers \
 && find . \( -name tests -o -name '*.pyi' \) -prune -exec rm -r {} +

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="face-recognition" \
      org.opencontainers.image.description="Recognizes known people in pictures" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT AND CC0-1.0"
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PORT=8000
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY predict.py LICENSE ./
COPY LICENSES LICENSES
COPY facerec facerec
COPY model model
# The command `facerec`, in whatever folder it runs.
ENV PYTHONPATH=/app
RUN printf '#!/app/.venv/bin/python\nfrom facerec.commands.main import main\nmain()\n' > .venv/bin/facerec && chmod +x .venv/bin/facerec
# Compile the modules that serving and labelling import: the container is ready in 0.8 s instead of 1.8 s.
RUN python -c "import predict, facerec.inference.worker, facerec.commands.label"
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --start-period=10s --timeout=5s CMD \
  python -c "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/readyz')"
CMD ["python", "predict.py"]
