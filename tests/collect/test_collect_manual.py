"""The manual page on collecting is complete, and its example is valid."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from khien.collect.settings import Limits
from khien.collect.sources import LISTEN, SOURCE, TLS, parse_sources

PAGE = Path(__file__).resolve().parents[2] / "docs" / "collect.md"


def test_the_example_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"## The sources file.*?```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for name in ("server.pem", "server.key", "agents-ca.pem"):
        (tmp_path / name).touch()
    config = parse_sources(example.encode(), tmp_path / "sources.toml")
    assert [source.id for source in config.sources] == ["health-portal", "border-gateways", "own-web-server"]


@pytest.mark.parametrize("key", [*SOURCE, *(field.name for field in fields(Limits))])
def test_every_key_is_explained(key: str) -> None:
    assert f"`{key}`" in PAGE.read_text()


@pytest.mark.parametrize("key", [*LISTEN, *TLS])
def test_every_listener_is_shown(key: str) -> None:
    assert f"\n{key} = " in PAGE.read_text()
