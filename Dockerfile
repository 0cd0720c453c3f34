# syntax=docker/dockerfile:1
# Built with Swift's toolchain, run on Debian's smallest with the three libraries that the binary needs.
#
#   docker build -t chatelaine .
#   docker run --network host --user 1000:1000 -v /etc/chatelaine:/etc/chatelaine:ro -v chatelaine:/var/lib/chatelaine chatelaine
#
# Only processes of the daemon's own user may call, and the kernel tells who calls only inside one network and user namespace:
# run it with --network host and the uid of the programs that call, or share a Unix socket through a volume. In a rootless
# container every foreign uid looks alike; docs/SECURITY.md, T1.3.

FROM swift:6.3-bookworm AS build
RUN apt-get -qq update \
 && apt-get -qq install -y --no-install-recommends pkg-config libssl-dev libsqlite3-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Package.swift ./
COPY Sources Sources
# SwiftPM wants the directories of all targets to be there, tests too.
COPY Tests Tests
RUN swift build -c release --static-swift-stdlib --product chatelaine \
 && install -D -m 0755 .build/release/chatelaine /out/chatelaine \
 && strip /out/chatelaine

FROM debian:bookworm-slim
RUN apt-get -qq update \
 && apt-get -qq install -y --no-install-recommends ca-certificates libssl3 libsqlite3-0 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 722 --home-dir /var/lib/chatelaine --shell /usr/sbin/nologin chatelaine \
 && install -d -m 0700 -o chatelaine -g chatelaine /var/lib/chatelaine \
 && install -d -m 0750 -o chatelaine -g chatelaine /run/chatelaine /etc/chatelaine
COPY --from=build /out/chatelaine /usr/local/bin/chatelaine
# No crash report that prints memory; freed memory is overwritten at once.
ENV SWIFT_BACKTRACE=enable=no \
    GLIBC_TUNABLES=glibc.malloc.perturb=165:glibc.malloc.tcache_count=0
USER chatelaine
VOLUME /var/lib/chatelaine
EXPOSE 7220
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/local/bin/chatelaine", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/chatelaine"]
CMD ["serve", "--config", "/etc/chatelaine/chatelaine.jsonc"]
