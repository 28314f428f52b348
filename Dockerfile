# The exporter in an image without a shell, for the platform that is asked for:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg REVISION=$(git rev-parse --short HEAD) -t mysql-canary-exporter .
#
# The password comes from a file (a secret that is mounted) or from the variable MYSQL_CANARY_PASSWORD.

FROM rust:1.95-bookworm AS build
ARG REVISION=unknown
WORKDIR /src
COPY . .
RUN MYSQL_CANARY_REVISION=$REVISION cargo build --locked --release --bin mysql-canary-exporter

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/mysql-canary-exporter /usr/bin/mysql-canary-exporter
COPY --from=build /src/LICENSE /usr/share/doc/mysql-canary-exporter/LICENSE
# Of the image's user nonroot: a number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 10052
ENTRYPOINT ["/usr/bin/mysql-canary-exporter"]
