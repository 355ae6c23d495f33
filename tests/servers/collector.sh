#!/usr/bin/env bash
# Builds an OpenTelemetry Collector below target/servers, once, and prints where it is. It takes minutes: 4 of two cores, and 1 GiB for
# modules and what is compiled, in Go's own folders.
# usage: SERIN_COLLECTOR=$(tests/servers/collector.sh) cargo test --test collector
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/../../target/servers"
servers=$(cd "$here/../../target/servers" && pwd)
collector="$servers/collector-$(cat "$here"/collector/* | sha256sum | cut -c1-16)"
exec 9>"$servers/collector.lock"
flock 9
if [ ! -x "$collector/otelcol" ]; then
  rm -rf "$collector.part"
  mkdir -p "$collector.part"
  cp "$here"/collector/* "$collector.part"
  # The versions that are wanted stand in go.mod; with what these need Go fills the copy, and it asks the checksum database.
  (cd "$collector.part" && CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags='-s -w' -o otelcol . >&2)
  mv "$collector.part" "$collector"
fi
exec 9>&-
echo "$collector/otelcol"
