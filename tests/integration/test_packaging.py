"""The wheel, the editable install, and the plug-in that `twistd` finds through each, in fresh environments.

Nothing is fetched: what the package depends on is copied from the environment that the tests run in.
"""
import ensurepip
import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from zipfile import Path as ZipPath
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from emqtwist._version import __version__

PLUGIN = "twisted/plugins/emqtwist_plugins.py"
LISTED = ["emqtt An MQTT broker"]
BUNDLED = sorted(Path(ensurepip.__file__).with_name("_bundled").glob("setuptools-*.whl"))  # old; none from Python 3.12


def clean_environment() -> dict[str, str]:
    """Without what would lead Python elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def pip(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    return subprocess.run(command, env=clean_environment() | (environment or {}), capture_output=True, text=True)


def done(process: subprocess.CompletedProcess[str]) -> str:
    """The output of a process that has to succeed."""
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def needed_by(requirements: list[str]) -> dict[str, Distribution]:
    """The distributions that these requirements lead to, as installed here."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and requirement.name not in found:
            found[requirement.name] = distribution(requirement.name)
            waiting += [Requirement(text) for text in found[requirement.name].requires or []]
    return found


class Environment:
    """A virtual environment with what `requirements` need, made from what is installed here."""

    def __init__(self, folder: Path, requirements: list[str]) -> None:
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        self.site = Path(self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        for origin in needed_by(requirements).values():
            for file in origin.files or []:
                if ".." not in file.parts and file.suffix != ".pyc" and file.name != "dropin.cache":
                    (self.site / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(str(origin.locate_file(file)), self.site / file)

    def run(self, *arguments: object, folder: Path = Path("/")) -> str:
        command = [str(self.python), *map(str, arguments)]
        return done(subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True))

    def install(self, *arguments: object) -> None:
        done(pip("--python", self.python, "install", "--no-index", "--no-deps", "--no-build-isolation", *arguments))

    def uninstall(self) -> None:
        done(pip("--python", self.python, "uninstall", "--yes", "emqtwist"))

    def twistd(self, *arguments: str, folder: Path = Path("/")) -> str:
        return self.run("-c", "from twisted.scripts.twistd import run; run()", *arguments, folder=folder)

    def plugins(self, folder: Path = Path("/")) -> list[str]:
        """The lines for emqtwist in what `twistd --help` lists."""
        lines = self.twistd("--help", folder=folder).splitlines()
        assert any(line.split()[:1] == ["web"] for line in lines)  # Twisted's own are always there
        return [" ".join(line.split()) for line in lines if line.split()[:1] == ["emqtt"]]


@pytest.fixture
def source(tmp_path: Path, checkout: Path) -> Path:
    """A copy of the sources, so that building leaves nothing in the checkout."""
    done(subprocess.run([checkout / "tools" / "copy_sources", tmp_path / "source"], capture_output=True, text=True))
    return tmp_path / "source"


@pytest.fixture
def wheel(tmp_path: Path, source: Path) -> Path:
    done(pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source))
    return next(tmp_path.glob("*.whl"))


def metadata(wheel: Path) -> Distribution:
    return PathDistribution(ZipPath(wheel, f"emqtwist-{__version__}.dist-info/"))


@pytest.fixture
def environment(tmp_path: Path, wheel: Path) -> Environment:
    """An environment with what emqtwist needs, and without it."""
    return Environment(tmp_path / "environment", metadata(wheel).requires or [])


def test_the_wheel_holds_the_package_and_its_plug_in_alone(wheel: Path, checkout: Path) -> None:
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(checkout)) for path in (checkout / "emqtwist").rglob("*.py")}
    assert names == modules | {PLUGIN, "emqtwist/py.typed"}
    assert wheel.name == f"emqtwist-{__version__}-py3-none-any.whl"


def test_the_metadata_name_version_pythons_and_packages(wheel: Path) -> None:
    described = metadata(wheel)
    assert described.version == __version__
    assert described.metadata["Requires-Python"] == ">=3.11"
    assert {Requirement(text).name for text in described.requires or [] if "extra" not in text} == {
        "twisted", "autobahn", "cryptography", "zope.interface", "scramp", "msgpack"}
    assert {"bcrypt", "compile", "dev", "test"} <= set(described.metadata.get_all("Provides-Extra", []))


def test_an_installed_wheel_shows_the_plug_in_from_any_folder(
        environment: Environment, wheel: Path, tmp_path: Path) -> None:
    assert environment.plugins() == []  # and now Twisted has a dropin.cache without it
    environment.install(wheel)
    assert environment.plugins(folder=tmp_path) == LISTED
    assert environment.plugins() == LISTED  # out of the cache
    assert "--config" in environment.twistd("emqtt", "--help")
    assert environment.run("-c", "import emqtwist; print(emqtwist.__file__)").strip() == str(
        environment.site / "emqtwist" / "__init__.py")


def test_an_uninstalled_wheel_leaves_twisted_as_it_was(environment: Environment, wheel: Path) -> None:
    environment.install(wheel)
    assert environment.plugins() != []
    environment.uninstall()
    assert environment.plugins() == []
    assert not (environment.site / "emqtwist").exists()
    assert not (environment.site / PLUGIN).exists()
    done(pip("--python", environment.python, "check"))


@pytest.mark.parametrize("setuptools", [None, *BUNDLED], ids=lambda wheel: wheel.stem if wheel else "installed")
def test_an_editable_install_shows_the_plug_in_from_any_folder(
        tmp_path: Path, source: Path, wheel: Path, setuptools: Path | None) -> None:
    environment = Environment(tmp_path / "environment", [*(metadata(wheel).requires or []), "setuptools", "wheel"])
    if setuptools is not None:
        environment.install("--force-reinstall", setuptools)
    environment.install("--editable", source)
    assert environment.plugins(folder=tmp_path) == LISTED
    assert environment.plugins(folder=source) == LISTED
    files = environment.run("-c", "import emqtwist.mqtt, twisted; print(emqtwist.__file__, twisted.__file__)").split()
    assert files == [str(source / "emqtwist" / "__init__.py"), str(environment.site / "twisted" / "__init__.py")]
    environment.uninstall()
    assert environment.plugins() == []


def test_an_editable_install_is_never_compiled(tmp_path: Path, source: Path) -> None:
    process = pip("install", "--no-index", "--no-deps", "--no-build-isolation", "--target", tmp_path / "target",
                  "--editable", source, environment={"EMQTWIST_COMPILE": "1"})
    assert process.returncode != 0
    assert "EMQTWIST_COMPILE=1 builds wheels only" in process.stdout + process.stderr
    assert list(source.rglob("*.so")) == []
