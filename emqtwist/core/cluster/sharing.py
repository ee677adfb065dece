"""Sharing: what nodes tell each other of groups, and what becomes of the messages for one that is lost."""
from typing import Final

from emqtwist.core.broker import Broker
from emqtwist.core.circle import Circle
from emqtwist.core.cluster import frames as f
from emqtwist.core.cluster.frames import Frame
from emqtwist.core.cluster.groups import Trail, Watch, WideGroup, hand_on, lose, trail_of
from emqtwist.core.cluster.inbox import To
from emqtwist.core.cluster.origin import ForwardedMessage
from emqtwist.core.cluster.part import Part
from emqtwist.core.cluster.peer import Peer
from emqtwist.core.cluster.routes import Grouped, Routes
from emqtwist.core.cluster.tables import Authored, Send
from emqtwist.core.group import Group, SharedMessage
from emqtwist.core.groups import Groups, Maker
from emqtwist.core.message import Delivery
from emqtwist.core.prefixes import Prefix, parse_prefix
from emqtwist.core.strategies import Dice

EACH: Final = 0.5  # seconds between two looks at how much the members here have to do
