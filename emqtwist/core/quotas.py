"""How many sessions there may be, and how many of them one user may have."""
from emqtwist.core.addresses import source_of
from emqtwist.core.connection import Connection
from emqtwist.core.questioning import is_asked
from emqtwist.mqtt.errors import QuotaExceeded


def refusal(connection: Connection, user_name: str | None) -> QuotaExceeded | None:
    """Why the client gets no session; None where it gets one, or has one already."""
    broker, settings = connection.broker, connection.broker.settings
    sessions, client_id = broker.sessions, connection.client_id
    if 0 < settings.max_sessions <= len(sessions.by_id) and client_id not in sessions.by_id:
        return QuotaExceeded(f"there are {settings.max_sessions} sessions, as many as there may be")
    most = settings.max_sessions_per_user
    if most:
        owner = _owner(connection, user_name)
        if owner and sessions.owners.counts.get(owner, 0) >= most and sessions.owners.owner(client_id) != owner:
            return QuotaExceeded(f"this user has {most} sessions, as many as it may have")
    return None


def own(connection: Connection, user_name: str | None) -> None:
    """The session of the client counts for its user from now on; to be called where there is a bound."""
    owner = _owner(connection, user_name)
    if owner:
        connection.broker.sessions.owners.own(connection.client_id, owner)


def _owner(connection: Connection, user_name: str | None) -> str:
    """Who has proved to be a user is that user. Else it is its address; empty where there is none.

    A name alone can be made up as well as a Client Identifier.
    """
    if user_name is not None and (connection.exchange is not None or is_asked(connection)):
        return f"user {user_name}"
    source = source_of(connection.peer.address)
    return f"address {source}" if source else ""
