#!/bin/sh
# Measure images on this machine with all its cores. Run it again and it resumes.
# Usage: jobs/local.sh IMAGES... [-o RUN] [other options of surveyfit submit]
exec surveyfit submit "$@"
