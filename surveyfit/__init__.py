"""Measure every source in an image survey; see ``surveyfit --help`` for the commands."""

from importlib.metadata import version

__version__ = version("surveyfit")
