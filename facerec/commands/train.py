"""`facerec train`: what `train.py` does, from an installed package."""

from facerec.commands.console import CommandError

_DESCRIPTION = """Train, evaluate, calibrate and export a network that recognizes known people.

`facerec train explore`, `tune`, `detector` and `landmarks` are further commands, each with a --help of its own."""


def train(arguments: list[str]) -> None:
    """Run the training that `arguments` ask for.

    Raises:
        SystemExit: after --help, and for options that don't exist or can't be read.
        CommandError: training can't start or go on, or packages are missing.
    """
    try:
        # The container image has no facerec.training either.
        from facerec.training import commands  # noqa: PLC0415
        from facerec.training.errors import TrainingError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    try:
        commands.main(commands.parse(arguments, program="facerec train", description=_DESCRIPTION))
    except TrainingError as error:
        raise CommandError(str(error)) from error
    except ModuleNotFoundError as error:
        raise _missing(error) from None


def _missing(error: ModuleNotFoundError) -> CommandError:
    return CommandError(
        f'training needs further packages, such as {error.name}: install them with `pip install ".[train]"` in the '
        "folder of the project"
    )
