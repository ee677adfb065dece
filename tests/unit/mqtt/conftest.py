import pytest

from tests.unit.mqtt.chunking import WAYS, Chunking


@pytest.fixture(params=list(WAYS))
def chunking(request: pytest.FixtureRequest) -> Chunking:
    """Cuts bytes as a network might; a test that takes it runs once for each way."""
    return WAYS[request.param]
