# One image for every role: `nas` with PostgreSQL's driver and torch for processors. What it does, the command says.
ARG PYTHON=3.11.13-slim-bookworm

FROM python:${PYTHON} AS build
# Whence torch without CUDA comes; other indexes give the version of constraints.txt in builds many times the size.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python3 -m venv /opt/nas

# What the program needs comes before the program: a changed line of ours installs torch no second time.
COPY pyproject.toml constraints.txt ./
RUN python3 -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
        print(*p["dependencies"], *p["optional-dependencies"]["postgres"], sep="\n")' > needs.txt \
    && /opt/nas/bin/pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --constraint constraints.txt -r needs.txt \
    && rm -rf /opt/nas/lib/python3*/site-packages/torch/include /opt/nas/lib/python3*/site-packages/torch/test

# Tests, and programs that only torch's own developers run.
RUN cd /opt/nas/lib/python3*/site-packages \
    && find torch/bin -type f ! -name torch_shm_manager -delete \
    && find . -type d -name tests -prune -exec rm -rf {} +

COPY README.md LICENSE ./
COPY nas nas
COPY plugins plugins
RUN /opt/nas/bin/pip install --no-deps . \
    && /opt/nas/bin/pip uninstall --yes pip setuptools


FROM python:${PYTHON}
RUN useradd --uid 1000 --create-home nas && install -d -o nas -g nas /data /studies
COPY --from=build /opt/nas /opt/nas
ENV PATH=/opt/nas/bin:$PATH NAS_DATA_DIR=/data OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp
USER 1000:1000
WORKDIR /studies
ENTRYPOINT ["nas"]
CMD ["--help"]
