"""An authority and a certificate of this host, made once."""
from pathlib import Path

import pytest

from tests.authorities import Authority, Pair


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server(authority: Authority) -> Pair:
    return authority.server()


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """One that nobody knows."""
    return Authority(tmp_path, "stranger")
