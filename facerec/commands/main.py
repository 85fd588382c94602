"""The command `facerec`: parse its command line, run the subcommand, report errors.

The exit status is 0, 1 after an error, 2 for a command line that is wrong, and 130 after Ctrl-C.
"""

# Each subcommand is imported when it runs.
# ruff: noqa: PLC0415

import os
import sys
import warnings

import tyro

from facerec.commands.console import CommandError, escape_unencodable, say
from facerec.commands.options import (
    AddPeople,
    Command,
    ExportPeople,
    ImportPeople,
    Label,
    ListPeople,
    NameGroup,
    People,
    RemovePerson,
    Serve,
    Train,
    Unlabel,
    Verify,
)
from facerec.errors import CodedError
from facerec.inference.errors import InferenceError
from facerec.people.errors import StoreError

_DESCRIPTION = (
    "Recognize people in pictures: serve, enrol people of your own, compare two pictures, label an archive, train."
)


def main() -> None:
    """Run the command line of this process.

    Raises:
        SystemExit: always. The code is the exit status.
    """
    escape_unencodable()
    try:
        run(sys.argv[1:])
        sys.stdout.flush()
    except StoreError as error:
        _fail(f"{error} ({error.reason})" if error.reason else str(error))
    except (CommandError, CodedError, InferenceError) as error:
        _fail(str(error))
    except KeyboardInterrupt as error:
        say(": ".join(("facerec: stopped", *map(str, error.args))))
        # Ctrl-C may strike between making a coroutine and handing it over. Python would warn of it at exit.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        sys.exit(130)
    except BrokenPipeError:  # whoever reads the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
    sys.exit(0)


def _fail(message: str) -> None:
    say(f"facerec: {message}")
    sys.exit(1)


def run(arguments: list[str]) -> None:
    """Run a command.

    Raises:
        SystemExit: after --help, and for a command line that is wrong.
        CommandError, CodedError, InferenceError: the command failed. The message says why.
    """
    if arguments[:1] == ["train"]:  # it has subcommands and options of its own
        from facerec.commands.train import train

        return train(arguments[1:])
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)
    command: Command = tyro.cli(Command, args=arguments, prog="facerec", description=_DESCRIPTION, config=config)
    match command:
        case Serve():
            from facerec.commands.serve import serve

            serve()
        case People():
            _run_people(command)
        case Verify():
            from facerec.commands.verify import verify

            verify(command)
        case Label():
            from facerec.commands.label import label

            label(command)
        case Unlabel():
            from facerec.commands.unlabel import unlabel

            unlabel(command)
        case Train():  # listed for the help and for the shell's completion
            raise AssertionError
    return None


def _run_people(people: People) -> None:
    from facerec.commands import gallery

    match people.command:
        case AddPeople() as command:
            from facerec.commands.add_people import add_people

            add_people(command)
        case NameGroup() as command:
            from facerec.commands.name_group import name_group

            name_group(command)
        case ListPeople() as command:
            gallery.list_people(command)
        case RemovePerson() as command:
            gallery.remove_person(command)
        case ExportPeople() as command:
            gallery.export_people(command)
        case ImportPeople() as command:
            gallery.import_people(command)
