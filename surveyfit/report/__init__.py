"""Pictures and pages, from a run that is there to be read."""
