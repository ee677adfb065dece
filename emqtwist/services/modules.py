"""Modules: what a broker does beside its work, and can leave. They are loaded and unloaded while it runs.

A module adds functions at hooks, and observers; what it has added goes with it, whole. That stays while its part is down,
so that no message passes by a module that somebody counts on.
"""
from collections.abc import Iterable
from math import inf

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from emqtwist.config.sections.module import ModuleSection
from emqtwist.core.hooks import Function, Hooks
from emqtwist.core.observer import Observer, Observers
from emqtwist.services.part import Part
from emqtwist.services.supervisor import Child, Supervisor


class Module:
    """One of them. It outlives its part; `active` says that it does what it is for."""

    name = ""
    description = ""

    def __init__(self, hooks: Hooks, observers: Observers) -> None:
        self.active = False
        self._hooks = hooks
        self._observers = observers
        self._added: list[tuple[str, Function]] = []
        self._watching: list[Observer] = []

    # What a module says of itself.

    def take(self, section: ModuleSection) -> bool:
        """Go by these sections from now on; whether the module is to be loaded."""
        raise NotImplementedError

    def add(self) -> None:
        """Add what it does: see `hook` and `watch`."""
        raise NotImplementedError

    def hook(self, name: str, function: Function, priority: int = 0) -> None:
        """Have a function called at a hook."""
        self._hooks.add(name, function, priority, self.name)
        self._added.append((name, function))

    def watch(self, observer: Observer) -> None:
        """Have an observer told of what happens."""
        self._observers.add(observer)
        self._watching.append(observer)

    # What happens to it.

    def start(self) -> None:
        self.active = True
        self.add()

    def stop(self) -> None:
        """Take away all that was added."""
        self.active = False
        added, self._added = self._added, []
        for name, function in added:
            self._hooks.delete(name, function, self.name)
        watching, self._watching = self._watching, []
        for observer in watching:
            self._observers.remove(observer)

    def configure(self, section: ModuleSection) -> bool:
        """As `take`; what was added is added anew."""
        wanted = self.take(section)
        if self.active:
            self.stop()
            self.start()
        return wanted


class Loaded(Part):
    """A module that is loaded. What the module has added stays when this stops: it is not unloaded by that."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def startService(self) -> None:
        super().startService()
        self.module.stop()
        self.module.start()


class Modules:
    """`known` maps the names of all modules to them; their parts are below the supervisor `modules`."""

    log = Logger()

    def __init__(self, known: Iterable[Module], section: ModuleSection, clock: IReactorTime) -> None:
        self.known = {module.name: module for module in known}
        self._wanted = self._take(section)
        self._clock = clock
        self._lock = DeferredLock()
        self._supervisor: Supervisor | None = None

    def supervisor(self) -> Supervisor:
        """A fresh one, with the modules that are wanted now."""
        self._supervisor = Supervisor("modules", [self._child(name) for name in self._wanted], self._clock, intensity=inf)
        return self._supervisor

    def configure(self, section: ModuleSection) -> None:
        """Load and unload as the configuration says, and go by it."""
        self._wanted = self._take(section)
        settled: Deferred[None] = self._lock.run(lambda: Deferred.fromCoroutine(self._settle()))
        settled.addErrback(self._failed)

    def close(self) -> None:
        """The broker has stopped: nobody does anything any more."""
        for module in self.known.values():
            module.stop()

    def _take(self, section: ModuleSection) -> list[str]:
        return [module.name for module in self.known.values() if module.configure(section)]

    def _child(self, name: str) -> Child:
        return Child(name, lambda: Loaded(self.known[name]))

    async def _settle(self) -> None:
        supervisor = self._supervisor
        if supervisor is None:
            return
        for name in self.known:
            if name in self._wanted and name not in supervisor.rows:
                await supervisor.add(self._child(name))
                self.log.info("module {module} loaded", module=name)
            elif name not in self._wanted and name in supervisor.rows:
                await supervisor.remove(name)
                self.known[name].stop()
                self.log.info("module {module} unloaded", module=name)

    def _failed(self, failure: Failure) -> None:
        self.log.failure("modules could not be loaded or unloaded", failure)
