FROM python:3.12-slim

# For GPUs: --build-arg EXTRA=cuda12 (or cuda13, by the driver of the machines).
ARG EXTRA=

WORKDIR /opt/surveyfit
COPY pyproject.toml README.md ./
COPY surveyfit ./surveyfit
RUN pip install --no-cache-dir "/opt/surveyfit${EXTRA:+[$EXTRA]}" \
    && useradd --create-home --uid 1000 astronomer

# Compiled fits are kept in ~/.cache/surveyfit: a home that exists for any --user, too.
ENV HOME=/tmp
USER 1000
WORKDIR /data
ENTRYPOINT ["surveyfit"]
CMD ["--help"]
