"""The error a user can mend."""


class UserError(Exception):
    """Bad input: a file, a setting or a machine that cannot do what was asked.

    The message is one line that names the file or setting and the remedy. Commands print it as
    ``error: <message>`` and leave with exit code 1; nothing on disk is lost.
    """
