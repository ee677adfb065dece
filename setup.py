"""What emqtwist is: its name and version, what it needs, and how its core is compiled on request.

With EMQTWIST_COMPILE=1 in the environment, a wheel (`pip wheel .`, `pip install .`) carries `emqtwist.mqtt` and
`emqtwist.core` compiled by mypyc. Pure Python is the default, and always what an editable install gives.
"""
import os
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import find_packages, setup
from setuptools.command.build_ext import build_ext

COMPILE = os.environ.get("EMQTWIST_COMPILE") == "1"
MYPYC = "mypy>=1.15"
INTERPRETED = {Path("emqtwist/core/observer.py")}  # adapters inherit from its classes; from compiled ones they could not

PACKAGES = [
    "twisted[tls]>=24.3",
    "autobahn>=25.10",
    "zope.interface>=6.0",
    "scramp>=1.5",
    "cryptography>=45",
    "msgpack>=1.0",
]

EXTRAS = {
    "bcrypt": ["bcrypt>=4"],
    "compile": [MYPYC, "setuptools>=65", "wheel"],
    "test": [
        "pytest>=9", "pytest-twisted>=1.14", "pytest-xdist>=3.6", "hypothesis>=6.100",
        "paho-mqtt>=2.0", "gmqtt>=0.7", "aiomqtt>=2.0", "bcrypt>=4",
        "uvloop>=0.21", "setuptools>=65", "wheel",
    ],
    "dev": [MYPYC, "mypy-zope>=1.0.9", "types-setuptools", "ruff>=0.9", "py-spy>=0.4"],
}


def compiled_modules() -> list[Any]:
    """The sans-IO layers as extension modules, when a wheel that shall carry them is being built."""
    if not COMPILE:
        return []
    if "editable_wheel" in sys.argv or "develop" in sys.argv:
        sys.exit("EMQTWIST_COMPILE=1 builds wheels only: in an editable install a stale .so would win over a new .py")
    if "bdist_wheel" not in sys.argv:
        return []  # only metadata is asked for, perhaps before mypyc is there
    from mypyc.build import mypycify
    sources = {path for part in ("mqtt", "core") for path in Path("emqtwist", part).rglob("*.py")} - INTERPRETED
    options = ["--config-file=", "--cache-dir=build/mypy", "--follow-imports=skip", "--strict"]
    return mypycify([*options, *sorted(map(str, sources))], opt_level="3", multi_file=True, group_name="emqtwist",
                    target_dir="build/mypyc")


class ParallelBuild(build_ext):
    """Compiles as many files at a time as there are cores: mypyc makes one of each module, and setuptools takes them in turn."""

    def build_extensions(self) -> None:
        compile_in_turn = self.compiler.compile

        def compile_beside(sources: list[str], **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return sum(pool.map(lambda source: compile_in_turn([source], **options), sources), [])

        self.compiler.compile = compile_beside
        super().build_extensions()


setup(
    name="emqtwist",
    version=runpy.run_path("emqtwist/_version.py")["__version__"],
    description="An MQTT 3.1, 3.1.1 and 5.0 broker on Twisted: a server, a library, a fixture",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    classifiers=[
        "Framework :: Twisted",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Communications",
        "Topic :: System :: Networking",
        "Typing :: Typed",
    ],
    keywords=["mqtt", "broker", "twisted", "pubsub", "iot"],
    python_requires=">=3.11",
    install_requires=PACKAGES,
    extras_require=EXTRAS,
    # pip asks for this before it builds in an environment of its own; a build without isolation finds mypyc or fails.
    setup_requires=[MYPYC] if COMPILE and "egg_info" in sys.argv else [],
    # With this one root setuptools makes an editable install a plain path entry, where Twisted finds `twisted/plugins`;
    # an import hook instead would hide it. The plug-in's folder has no `__init__.py`, so it is listed by hand.
    package_dir={"": "."},
    packages=[*find_packages(include=["emqtwist", "emqtwist.*"]), "twisted.plugins"],
    entry_points={"console_scripts": ["emqtwist_ctl = emqtwist.ctl.command:main"]},
    package_data={"emqtwist": ["py.typed"]},
    ext_modules=compiled_modules(),
    cmdclass={"build_ext": ParallelBuild},
    zip_safe=False,
)
