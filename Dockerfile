FROM python:3.12-slim

WORKDIR /opt/surveyfit
COPY pyproject.toml README.md ./
COPY surveyfit ./surveyfit
RUN pip install --no-cache-dir . \
    && useradd --create-home --uid 1000 astronomer

USER 1000
WORKDIR /data
ENTRYPOINT ["surveyfit"]
CMD ["--help"]
