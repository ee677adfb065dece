"""Bugs that a crash run has to find."""
from typing import Final

from tests.harness.planting import Bug

NO_BARRIER: Final = Bug("acknowledged before it is stored", "services.keeper:Keeper._send", "sent = self._store.commit(",
                        "self._journal.committed(self._work.number); sent = deferLater(self._clock, 0.05, self._store.commit, ")
NO_IDENTIFIER: Final = Bug("identifiers of QoS 2 are not stored", "services.keeper:Keeper._step",
                           "self._journal.take()", "[each for each in self._journal.take() if each[0] != RECEIVED]")
NO_RELEASE: Final = Bug("PUBREC is not stored", "services.keeper:Keeper._step",
                        "self._journal.take()", "[each for each in self._journal.take() if each[0] != RELEASED]")
REST_OF_LIFE: Final = Bug("expiry is stored from the start of the process on", "services.keeper:offset",
                          "wall() - now()", "offset.__dict__.setdefault('zero', -now())")
REMAINING: Final = Bug("expiry is stored as remaining time", "services.keeper:offset",
                       "wall() - now()", "-now()")
NO_WILL: Final = Bug("Wills are not stored", "services.keeper:Keeper._step",
                     "self._journal.take()", "[each for each in self._journal.take() if each[0] not in (WILL, WILL_DUE)]")
WILL_STAYS: Final = Bug("a Will that was published stays in the store", "services.keeper:Keeper._step",
                        "self._journal.take()", "[each for each in self._journal.take() if each[0] != WILL_GONE]")
BUGS: Final = {bug.name: bug for bug in (NO_BARRIER, NO_IDENTIFIER, NO_RELEASE, REST_OF_LIFE, REMAINING, NO_WILL, WILL_STAYS)}
