#!/usr/bin/env bash
# The official Elasticsearch client for JavaScript searches a running program. It lives in a folder below target/servers; nothing is
# installed. The first use downloads it by npm.
# usage: elasticsearch-search-js.sh 8|9 [URL]    (without a URL it is only downloaded)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/../../target/servers"
servers=$(cd "$here/../../target/servers" && pwd)
case "$1" in
  8) version=8.17.1 ;;
  9) version=9.1.1 ;;
  *) echo "there are 8 and 9" >&2; exit 2 ;;
esac
client="$servers/elasticsearch-js-$version"
exec 9>"$servers/elasticsearch-js.lock"
flock 9
if [ ! -d "$client" ]; then
  rm -rf "$client.part"
  mkdir -p "$client.part"
  (cd "$client.part" && npm install --no-save --prefix . --omit=optional --no-audit --no-fund "@elastic/elasticsearch@$version" >&2) ||
    { echo "the client cannot be installed"; exit 1; }
  mv "$client.part" "$client"
fi
exec 9>&-
[ $# -gt 1 ] || exit 0
# A module is looked for beside the script, so the script goes there.
cp "$here/elasticsearch-search.js" "$client/search.js"
exec node "$client/search.js" "$2"
