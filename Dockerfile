# The exporter alone, without a shell or a distribution, for the platform that is asked for:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg REVISION=$(git rev-parse --short HEAD) -t mysql-canary-exporter .
#
# The password comes from a file (a secret that is mounted) or from the variable MYSQL_CANARY_PASSWORD.

FROM rust:1.95-bookworm AS build
ARG REVISION=unknown
WORKDIR /src
COPY . .
RUN MYSQL_CANARY_REVISION=$REVISION cargo build --locked --release --bin mysql-canary-exporter
RUN script/image-root target/release/mysql-canary-exporter /image

FROM scratch
COPY --from=build /image /
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 10052
ENTRYPOINT ["/usr/bin/mysql-canary-exporter"]
