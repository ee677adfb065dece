"""docs/ctl.md, made from the table of commands: `python -m emqtwist.ctl.reference > docs/ctl.md`."""
import sys
from typing import Final

from emqtwist.ctl.commands import all_commands
from emqtwist.ctl.registry import Command

HEAD: Final = """\
# Commands for a running broker

<!-- Generated: python -m emqtwist.ctl.reference > docs/ctl.md -->

`emqtwist_ctl <command>` asks the broker that `twistd emqtt` runs; `twistd -n emqtt-ctl <command>` is the same. In the
folder that the broker was started in no option is needed. Elsewhere `--socket` names its socket, or `--config` its
configuration, where `ctl.socket` and `node.data_dir` say where the socket lies: relative ones start at the folder that the
command is called in, as they did for the broker. Only the user that the broker runs as, and root, can use it.

```sh
emqtwist_ctl clients list
emqtwist_ctl sessions show sensor-1 --json
emqtwist_ctl --config /etc/emqtwist/broker.ini config set mqtt.max_packet_size 64KB
```

**Output.** On standard output is the answer alone, in the lines of emqttd_ctl where it has such a command. `--table` prints
columns, `--json` an array of objects; either may stand after the command, too. Control characters, which a client identifier
may have, are printed as `\\x1b`. Lists come in pages, while the broker serves its clients: they are no picture of one
moment.

**Exit status.**

| Status | When |
|---|---|
| 0 | it is done |
| 1 | it cannot be done: the reason is on standard output, as emqttd prints it, with `--table` and `--json` on standard error |
| 1 | it failed: the error is on standard error, the traceback in the broker's log |
| 2 | no command takes these words, or an option is wrong: what would be right is on standard error |
| 3 | no broker answers: one line on standard error |

**From other machines.** `ctl.bind` and `ctl.secret` let the broker take commands over TCP; beyond loopback it needs
`ctl.certificate` and `ctl.private_key`, too. Both sides prove to know the secret, which is never sent.

```sh
emqtwist_ctl --address broker.example:1882 --secret-file secret.txt --authority ca.pem status
```

**Clusters.** `clients`, `sessions`, `subscriptions` and `routes` list and show what all nodes have, and `clients kick` finds a
client on whatever node it is; columns name the `node` of each line. A node that does not answer within five seconds is named at
the end, as `Node <node> does not answer: <why>`, and the list is without it. All else is about the node that is asked.

**Completion.** `eval "$(emqtwist_ctl completion bash)"` in `~/.bashrc`, or `eval "$(emqtwist_ctl completion zsh)"` in
`~/.zshrc`.

**Plug-ins** add commands of their own, and take them away with `broker.commands.remove(name)`:

```python
def greet(context, words):
    yield f"hello {words[0]}", {"name": words[0]}


broker.commands.add("greet", "<Name>", "Greet somebody", greet)
```

The function is called as `function(context, words)` and gives pairs of a line and a dictionary of its columns. It may give None
after a piece of work that has brought no line; `context.broker` is the broker. Each piece has to be little work, as clients
wait meanwhile. `add_waiting` is for coroutine functions.

What a command changes holds until the broker stops, but for users, bans and subscriptions of sessions that the store keeps; a
reload (SIGHUP) takes back what the configuration file says otherwise.
"""


def text() -> str:
    """The whole page."""
    return HEAD + "".join(_section(name, commands) for name, commands in all_commands().groups().items())


def _section(name: str, commands: list[Command]) -> str:
    lines = [f"## {name}", "", "| Command | Does | Prints |", "|---|---|---|", *map(_row, commands), ""]
    return "\n" + "\n".join(lines)


def _row(command: Command) -> str:
    return f"| `{f'{command.name} {command.arguments}'.strip()}` | {command.meaning} | {command.prints} |"


if __name__ == "__main__":
    sys.stdout.write(text())
