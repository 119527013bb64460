# The image: one static binary on nothing, for `docker build`, `podman build` and
# `buildah build` alike. docs/image.md says what is in it and how far it can be rebuilt.
FROM docker.io/library/rust:1.95-bookworm AS build
# Writes the bill of materials.
RUN cargo install --locked --version 0.5.9 cargo-cyclonedx
WORKDIR /src
COPY . .
# glibc and all in the binary, and no path of this stage. The target is named, or macros and
# build scripts would be static too.
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/src=/countersign --remap-path-prefix=/usr/local/cargo=/cargo"
RUN cargo build --release --locked --bin countersign --target "$(rustc --print host-tuple)"
RUN cargo cyclonedx --format json --override-filename sbom.cdx
RUN mkdir /image && cp "target/$(rustc --print host-tuple)/release/countersign" sbom.cdx.json /image/

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="countersign"
LABEL org.opencontainers.image.description="A gRPC-only token authority for service meshes"
LABEL org.opencontainers.image.licenses="Apache-2.0"
LABEL org.opencontainers.image.source="https://github.com/countersign/countersign"
LABEL org.opencontainers.image.documentation="https://github.com/countersign/countersign/tree/main/docs"
LABEL org.opencontainers.image.version="${VERSION}"
LABEL org.opencontainers.image.revision="${REVISION}"
# Who signs the world's certificates, for `sslrootcert=system` and an https:// collector.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /image/sbom.cdx.json /sbom.cdx.json
COPY --from=build /image/countersign /countersign
# Nobody's, as the chart's pods run it.
USER 65532:65532
EXPOSE 7300 7301 9464
ENTRYPOINT ["/countersign"]
CMD ["serve"]
