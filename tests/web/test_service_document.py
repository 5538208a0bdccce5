"""The service is what its OpenAPI document says: Schemathesis asks by the document, right things and wrong ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from service import serving

from srgan.image.picture import Limits
from srgan.web import app
from srgan.web.app import Rules

HERE = Path(__file__).parent


@pytest.mark.usefixtures("shipped")
def test_schemathesis_finds_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(app, "_UNSEEN", 0.05)
    with serving(Rules(limits=Limits(3_000, 300_000), token="swordfish")) as running:
        url = f"http://127.0.0.1:{running.port}/openapi.json"
        program, config = str(Path(sys.executable).with_name("schemathesis")), str(HERE / "schemathesis.toml")
        how = ["--header", "Authorization: Bearer swordfish", "--max-examples", "20", "--generation-deterministic"]
        paths = os.pathsep.join([str(HERE), str(HERE.parent)])
        ran = subprocess.run(
            [program, "--config-file", config, "run", url, *how, "--no-color"],
            cwd=tmp_path,
            env=os.environ | {"SCHEMATHESIS_HOOKS": "described", "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        made = running.count('srgan_requests_total{status="200"}')
    assert ran.returncode == 0, ran.stdout
    assert "Tested: 6" in ran.stdout
    assert made > 20, "pictures"
