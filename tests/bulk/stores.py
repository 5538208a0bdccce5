"""An object store over real HTTP: moto's S3, with a server in front that can say that it is busy, or forbid."""

import io
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import WSGIRequestHandler, make_server

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
ACCOUNT = "123456789012"  # which moto has for everybody
BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
FORBIDDEN = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@dataclass
class Store:
    """A server; `busy` is asked of each request, METHOD /path, whether it is refused for now."""

    address: str = ""
    busy: Callable[[str], bool] = lambda _: False
    forbidden: bool = False
    requests: list[str] = field(default_factory=list)
    refused: int = 0

    def url(self, place: str) -> str:
        return f"s3://{place}?endpoint_override={self.address}&scheme=http&region=us-east-1"

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def client(self) -> Any:
        config = Config(retries={"max_attempts": 1})
        return boto3.client("s3", endpoint_url=f"http://{self.address}", region_name="us-east-1", config=config)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    store, moto = Store(), DomainDispatcherApplication(create_backend_app)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        line = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        line += f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        if store.forbidden or store.busy(line):
            store.refused += 1
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            status, body = ("403 Forbidden", FORBIDDEN) if store.forbidden else ("503 Slow Down", BUSY)
            start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
        store.requests.append(line)
        answer: Iterable[bytes] = moto(environ, start)
        return answer

    server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    store.address = f"127.0.0.1:{server.port}"
    store.client().create_bucket(Bucket="bucket")
    yield store
    s3_backends[ACCOUNT]["aws"].reset()
    server.shutdown()
    thread.join()
    server.server_close()


def upload(store: Store, folder: Path, prefix: str) -> None:
    client = store.client()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(folder).as_posix()}"
            client.put_object(Bucket="bucket", Key=key, Body=path.read_bytes())


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
