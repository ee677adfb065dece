"""What runs here is the compiled form, not the Python sources."""
from importlib import import_module
from pkgutil import walk_packages

import pytest


@pytest.mark.parametrize("package", ["emqtwist.mqtt", "emqtwist.core"])
def test_every_module_of_the_sans_io_layers_comes_from_an_extension(package: str) -> None:
    root = import_module(package)
    modules = [root, *(import_module(found.name) for found in walk_packages(root.__path__, f"{package}."))]
    assert len(modules) > 5
    assert [module.__file__ for module in modules if not str(module.__file__).endswith(".so")] == []
