"""``python -m surveyfit`` is the command ``surveyfit``."""

from surveyfit.cli import main

if __name__ == "__main__":
    main()
