"""The table of users, and that it outlives the process."""
from emqtwist.core.users import User, Users
from tests.stores import StoredWorld


def names(users: Users) -> dict[str, tuple[str, bool]]:
    return {name: (user.password_hash, user.superuser) for name, user in users.table.items()}


def test_there_are_no_more_than_are_kept() -> None:
    users = Users(None, 1)
    assert users.set(User("al", "one", False))
    assert not users.set(User("bo", "one", False))
    assert users.set(User("al", "other", True))
    assert names(users) == {"al": ("other", True)}


def test_each_change_is_told() -> None:
    told: list[int] = []
    users = Users(None)
    users.changed = lambda: told.append(len(users.table))
    users.set(User("al", "one", False))
    users.recover(User("bo", "one", False))
    assert users.remove("al")
    assert not users.remove("al")
    assert told == [1, 2, 1]


def test_users_outlive_the_process() -> None:
    world = StoredWorld()
    for name in ("al", "bo", "cy"):
        assert world.broker.users.set(User(name, f"hash of {name}", False))
    world.broker.users.set(User("bo", "another hash", True))
    world.broker.users.remove("cy")
    world.settle()
    world.crash()
    assert names(world.broker.users) == {"al": ("hash of al", False), "bo": ("another hash", True)}


def test_a_change_is_stored_when_it_is_said_to_be() -> None:
    world = StoredWorld(stored=False)
    assert world.broker.users.stored().is_decided()
    world.broker.users.set(User("al", "one", False))
    stored = world.broker.users.stored()
    world.settle()
    assert not stored.is_decided()
    world.commit()
    assert stored.is_decided()


def test_without_a_store_nobody_waits_for_it() -> None:
    users = Users(None)
    users.set(User("al", "one", False))
    assert users.stored().is_decided()
    assert users.failing() == ""
