"""How Sphinx builds these pages: ``sphinx-build -W docs build/docs``."""

from surveyfit import __version__

project = "surveyfit"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"surveyfit {release}"
html_show_copyright = False  # no name to give

# Links such as limits.md#large-sources work here as they do where Markdown is shown as it is.
myst_heading_anchors = 3

# What needs no colours says so (```text); a code block whose words no lexer knows is a mistake.
highlight_language = "none"

# The types stand in the numpy-style docstrings, with their shapes.
autodoc_typehints = "none"
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_rtype = False
