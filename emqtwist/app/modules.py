"""All modules."""
from twisted.internet.interfaces import IReactorTime

from emqtwist.config.sections.module import ModuleSection
from emqtwist.core.broker import Broker
from emqtwist.core.observer import Observers
from emqtwist.modules.delayed import Delayed
from emqtwist.modules.presence import Presence
from emqtwist.modules.retainer import Retainer
from emqtwist.modules.rewrite import Rewrite
from emqtwist.modules.slow_subs import SlowSubs
from emqtwist.modules.subscription import Subscription
from emqtwist.services.modules import Modules
from emqtwist.services.slowness import Slowness
from emqtwist.services.systopics import SysTopics


def make_modules(section: ModuleSection, broker: Broker, observers: Observers, systopics: SysTopics,
                 slowness: Slowness, clock: IReactorTime) -> Modules:
    """Those that are enabled are loaded when their supervisor starts."""
    return Modules([
        Presence(broker.hooks, observers, systopics),
        Retainer(broker, observers),
        Subscription(broker, observers),
        Rewrite(broker, observers),
        Delayed(broker, observers),
        SlowSubs(broker, observers, slowness),
    ], section, clock)
