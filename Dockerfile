# Serin in a container: built from this tree, and run as a user without a name, on a system without a compiler.
#
#   docker build -t serin:0.1.0 .
#   docker run -p 127.0.0.1:7878:7878 -v serin:/var/lib/serin -v "$PWD/serin.yaml:/etc/serin/serin.yaml:ro" \
#     -v "$PWD/tokens:/etc/serin/tokens:ro" serin:0.1.0
#
# Other machines than the container itself may ask only with tokens, so serin.yaml must name a file of them:
#   listen: 0.0.0.0:7878
#   tokens: /etc/serin/tokens
# Where your registry keeps digests, pin both images by theirs: --build-arg RUST=rust@sha256:... --build-arg BASE=debian@sha256:...
ARG RUST=rust:1.95.0-bookworm
ARG BASE=debian:bookworm-slim

FROM ${RUST} AS build
# Kafka's client is built from its sources: gcc and g++ are in the image, make too.
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin serin && strip target/release/serin

FROM ${BASE}
COPY --from=build /src/target/release/serin /usr/local/bin/serin
# The state directory is for its owner alone; /etc/serin holds what is configured, and is only read.
RUN mkdir -p /var/lib/serin /etc/serin && chown 65532:65532 /var/lib/serin && chmod 0700 /var/lib/serin
USER 65532:65532
WORKDIR /var/lib/serin
VOLUME /var/lib/serin
EXPOSE 7878
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=11s --start-period=30s --retries=3 CMD ["serin", "status", "--ready"]
ENTRYPOINT ["serin"]
CMD ["run", "--config", "/etc/serin/serin.yaml", "--state", "/var/lib/serin/state", "--log-format", "json"]
