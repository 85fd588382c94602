"""`facerec serve`: the service, as `predict.py` starts it."""

from facerec.serving import server
from facerec.serving.app import create_app
from facerec.serving.log import LogWriter
from facerec.serving.settings import Settings


def serve() -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SystemExit: a setting is unknown or invalid.
    """
    settings = Settings.from_environment()
    log = LogWriter()
    server.serve(create_app(settings, write_log=log.write), settings, log)
