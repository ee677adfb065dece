"""What runs here is the compiled form, not the Python sources."""
from importlib import import_module
from pkgutil import walk_packages

import pytest


@pytest.mark.parametrize(("package", "interpreted"), [("emqtwist.mqtt", []), ("emqtwist.core", ["emqtwist.core.observer"])])
def test_the_modules_of_the_sans_io_layers_come_from_extensions(package: str, interpreted: list[str]) -> None:
    root = import_module(package)
    modules = [root, *(import_module(found.name) for found in walk_packages(root.__path__, f"{package}."))]
    assert len(modules) > 5
    assert [module.__name__ for module in modules if not str(module.__file__).endswith(".so")] == interpreted
