"""Errors that are meant for the person at the terminal."""


class InputError(Exception):
    """Something given to the program is wrong; the message is one line and says what to do.

    Parameters
    ----------
    what : str
        What is wrong, with the name of the file, option or key.
    remedy : str
        What the user can do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


class StoppedError(Exception):
    """A run had to stop before its end, through no fault of its input; submitting again resumes."""


class DiskFullError(StoppedError):
    """There is no room left to write a file; what was there before is as it was.

    Parameters
    ----------
    path : str
        The file or folder.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"no room to write {self.path}: the disk is full or a quota is used up: make room"


class HalvedWarning(UserWarning):
    """A device had too little memory, and fewer fits were done in step than planned."""
