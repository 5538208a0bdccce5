# The service and its page, on a processor: docs/serve.md says how to run it.
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN python -m venv /srgan && /srgan/bin/pip install --no-cache-dir -c constraints.txt '.[heif,web]'

FROM python:3.11-slim
COPY --from=build /srgan /srgan
ENV PATH=/srgan/bin:$PATH PYTHONUNBUFFERED=1 XDG_CACHE_HOME=/tmp SRGAN_PORT=8000
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(f'http://127.0.0.1:{os.environ[\"SRGAN_PORT\"]}/healthz', timeout=4)"]
ENTRYPOINT ["srgan", "serve", "--host", "0.0.0.0"]
