"""The exception for errors that a user can fix."""


class UserError(Exception):
    """An invalid setting or file, or a machine that lacks what a setting needs.

    The message is one line that names the file or setting and the remedy. Commands print it as
    ``error: <message>`` and exit with status 1; files on disk are kept.
    """
