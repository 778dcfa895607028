"""Completion in shells: scripts that hold the table of commands and options, so that nothing is started for a word.

File names are completed by the shell itself.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from typing import Final

from rdbtool import __version__
from rdbtool.errors import OutputError, UsageError, reason

from .pages import Page, Parameter


def _names(page: Page) -> list[str]:
    return [name for option in page.options for name in option.names]


def _made(shell: str) -> str:
    return f"# Completion of rdbtool {__version__} for {shell}, made by: rdbtool --show-completion {shell}"


def _own(page: Page) -> str:
    """The name of a subcommand, "" for the program."""
    return page.name.partition(" ")[2]


_BASH: Final = """\
_rdbtool() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= found= values= i
    COMPREPLY=()
    # bash takes the = of --option=value for a word
    if [ "$word" = "=" ]; then
        word= before=${COMP_WORDS[COMP_CWORD-2]}
    elif [ "$before" = "=" ]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -*) ;;
            *) command=${COMP_WORDS[i]}; break ;;
        esac
    done
    case "$command $before" in
VALUES
    esac
    if [ -n "$found" ]; then
        # without values, the shell completes names of files
        [ -z "$values" ] || COMPREPLY=($(compgen -W "$values" -- "$word"))
        return
    fi
    case "$word" in
        -*)
            case "$command" in
OPTIONS
            esac ;;
        *)
            case "$command" in
ARGUMENTS
            esac ;;
    esac
    [ -z "$values" ] || COMPREPLY=($(compgen -W "$values" -- "$word"))
}
complete -o bashdefault -o default -F _rdbtool rdbtool
"""


def bash(pages: Sequence[Page]) -> str:
    """The script for bash, from version 3.2 on."""
    valued, options, arguments = [], [], []
    for page in pages:
        own = _own(page)
        for option in page.options:
            if option.value:
                patterns = "|".join(f'"{own} {name}"' for name in option.names)
                valued.append(f"        {patterns}) found=1 values={shlex.quote(' '.join(option.values))} ;;")
        options.append(f"                {own or '*'}) values={shlex.quote(' '.join(_names(page)))} ;;")
        words = list(page.commands) or [word for argument in page.arguments for word in argument.values]
        if words:
            arguments.append(f'                "{own}") values={shlex.quote(" ".join(words))} ;;')
    options.append(options.pop(0))  # the program's come last: for no command
    script = _BASH
    for mark, lines in (("VALUES", valued), ("OPTIONS", options), ("ARGUMENTS", arguments)):
        script = script.replace(mark, "\n".join(lines))
    return f"{_made('bash')}\n{script}"


_ZSH: Final = """\
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
_rdbtool() {
    local curcontext=$curcontext state line
    typeset -A opt_args
    _arguments -C -s -S \\
PROGRAM
        '1:command:->command' \\
        '*::argument:->argument' && return
    case $state in
        command)
            local -a commands=(
COMMANDS
            )
            _describe command commands ;;
        argument)
            case $line[1] in
CASES
            esac ;;
    esac
}
compdef _rdbtool rdbtool
"""


def zsh(pages: Sequence[Page]) -> str:
    """The script for zsh, to be sourced."""
    program, *rest = pages
    commands = [f"                {_zsh_quoted(f'{name}:{text}')}" for name, text in program.commands.items()]
    cases = []
    for page in rest:
        specs = [_zsh_option(option) for option in page.options]
        for argument in page.arguments:
            action = f"({' '.join(argument.values)})" if argument.values else "_files" if argument.files else " "
            specs.append(_zsh_quoted(f"*:{_zsh_escaped(argument.value)}:{action}"))
        # one description of all the arguments that are left is what _arguments takes
        seen = [spec for spec in specs if spec.startswith("'*:")]
        specs = [spec for spec in specs if spec not in seen[1:]]
        body = " \\\n".join(f"                        {spec}" for spec in specs)
        cases.append(f"                {_own(page)})\n                    _arguments -s -S \\\n{body} ;;")
    script = _ZSH.replace("PROGRAM", "\n".join(f"        {_zsh_option(option)} \\" for option in program.options))
    script = script.replace("COMMANDS", "\n".join(commands)).replace("CASES", "\n".join(cases))
    return f"{_made('zsh')}\n{script}"


def _zsh_option(option: Parameter) -> str:
    described = f"[{_zsh_escaped(option.help)}]"
    takes = ""
    if option.value:
        action = f"({' '.join(option.values)})" if option.values else "_files" if option.files else " "
        takes = f":{_zsh_escaped(option.value)}:{action}"
    # every option may come again: some are repeated
    names = [f"{name}{'=' if takes and name.startswith('--') else '+' if takes else ''}" for name in option.names]
    each = names[0] if len(names) == 1 else f"{{{','.join(names)}}}"
    return f"'*'{each}{_zsh_quoted(described + takes)}"


def _zsh_escaped(text: str) -> str:
    for sign in "\\[]:":
        text = text.replace(sign, f"\\{sign}")
    return text


def _zsh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def fish(pages: Sequence[Page]) -> str:
    """The script for fish."""
    lines = [_made("fish"), "complete -c rdbtool -e"]
    lines += [
        f"complete -c rdbtool -n __fish_use_subcommand -f -a {name} -d {_fish_quoted(text)}"
        for name, text in pages[0].commands.items()
    ]
    for page in pages:
        own = _own(page)
        when = f"__fish_seen_subcommand_from {own}" if own else "__fish_use_subcommand"
        condition = f"complete -c rdbtool -n {_fish_quoted(when)}"
        for option in page.options:
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            takes = ""
            if option.value:
                takes = f" -x -a {_fish_quoted(' '.join(option.values))}" if option.values else " -r"
                takes += " -F" if option.files else ""
            lines.append(f"{condition} {names}{takes} -d {_fish_quoted(option.help)}")
        words = [word for argument in page.arguments for word in argument.values]
        if words:
            lines.append(f"{condition} -f -a {_fish_quoted(' '.join(words))}")
    return "\n".join(lines) + "\n"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: Final[dict[str, Callable[[Sequence[Page]], str]]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""What makes the script of each shell."""


def script_for(shell: str, pages: Sequence[Page]) -> str:
    """The script for a shell. Raises `UsageError`."""
    if shell not in SHELLS:
        raise UsageError(f"no completion for the shell {shell!r}; there is one for {', '.join(SHELLS)}")
    return SHELLS[shell](pages)


def install(pages: Sequence[Page]) -> str:
    """Install the script for the shell that SHELL names, for this user; what was done is returned, as text.

    Raises `UsageError` for another shell, and `OutputError`.
    """
    shell = os.path.basename(os.environ.get("SHELL", ""))
    script = script_for(shell, pages)
    home = os.path.expanduser("~")
    if shell == "fish":  # it looks there by itself
        config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        path, startup = os.path.join(config, "fish", "completions", "rdbtool.fish"), ""
    else:
        data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
        path = os.path.join(data, "rdbtool", f"completion.{shell}")
        where = (os.environ.get("ZDOTDIR") or home) if shell == "zsh" else home
        startup = os.path.join(where, f".{shell}rc")
    line = f". {shlex.quote(path)}  # completion of rdbtool"
    place = path
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(script)
        if not startup:
            return f"completion is in {path}: start a new shell"
        place = startup
        with open(startup, "a+", encoding="utf-8", errors="surrogateescape") as stream:
            stream.seek(0)
            before = stream.read()
            if line not in before.splitlines():
                stream.write(f"{'' if not before or before.endswith(chr(10)) else chr(10)}{line}\n")
    except OSError as e:
        raise OutputError(f"cannot write: {reason(e)}", path=place) from e
    return f"completion is in {path}, which {startup} reads: start a new shell"
