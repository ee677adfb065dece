"""Completion for shells, made from the table of commands."""
from collections.abc import Iterator
from typing import Final

from emqtwist.ctl.registry import Registry

OPTIONS: Final = ("--address", "--authority", "--config", "--help", "--json", "--secret-file", "--socket", "--table", "--version")
FILES: Final = ("--authority", "--config", "--secret-file", "--socket")  # a path follows
SHELLS: Final = ("bash", "zsh")
LOCAL: Final = ("completion", *(f"completion {shell}" for shell in SHELLS))  # commands that need no broker

BASH: Final = """\
# Completion of emqtwist_ctl; in ~/.bashrc: eval "$(emqtwist_ctl completion bash)"
_emqtwist_ctl() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="" at
    case "${{COMP_WORDS[COMP_CWORD-1]}}" in
        {files}) COMPREPLY=($(compgen -f -- "$word")); return ;;
        --address) COMPREPLY=(); return ;;
    esac
    for ((at = 1; at < COMP_CWORD; at++)); do
        case "${{COMP_WORDS[at]}}" in
            {files}|--address) ((at++)) ;;
            -*) ;;
            *) before="$before ${{COMP_WORDS[at]}}" ;;
        esac
    done
    case "$before" in
{cases}
        *) COMPREPLY=() ;;
    esac
    [[ $word == -* ]] && COMPREPLY=($(compgen -W "{options}" -- "$word"))
    return 0
}}
complete -F _emqtwist_ctl emqtwist_ctl
"""
BASH_CASE: Final = '        "{before}") COMPREPLY=($(compgen -W "{words}" -- "$word")) ;;'

ZSH: Final = """\
#compdef emqtwist_ctl
# Completion of emqtwist_ctl; in ~/.zshrc, after compinit: eval "$(emqtwist_ctl completion zsh)"
_emqtwist_ctl() {{
    local before="" at
    case "${{words[CURRENT-1]}}" in
        {files}) _files; return ;;
        --address) return ;;
    esac
    for ((at = 2; at < CURRENT; at++)); do
        case "${{words[at]}}" in
            {files}|--address) ((at++)) ;;
            -*) ;;
            *) before="$before ${{words[at]}}" ;;
        esac
    done
    if [[ "${{words[CURRENT]}}" == -* ]]; then
        compadd -- {options}
        return
    fi
    case "$before" in
{cases}
    esac
}}
compdef _emqtwist_ctl emqtwist_ctl
"""
ZSH_CASE: Final = '        "{before}") compadd -- {words} ;;'


def followers(registry: Registry) -> dict[str, list[str]]:
    """What may come next after the words of a name: dict words before -> next words."""
    found: dict[str, list[str]] = {}
    names = [command.name for commands in registry.groups().values() for command in commands]
    for name in [*names, *LOCAL]:
        words = name.split()
        for at, word in enumerate(words):
            known = found.setdefault(" ".join(words[:at]), [])
            if word not in known:
                known.append(word)
    return found


def script(registry: Registry, shell: str) -> str:
    """What `shell` is to evaluate."""
    frame, case = (BASH, BASH_CASE) if shell == "bash" else (ZSH, ZSH_CASE)
    return frame.format(files="|".join(FILES), options=" ".join(OPTIONS), cases="\n".join(_cases(registry, case)))


def _cases(registry: Registry, case: str) -> Iterator[str]:
    for before, words in followers(registry).items():
        yield case.format(before=f" {before}" if before else "", words=" ".join(words))
