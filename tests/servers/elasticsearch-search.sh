#!/usr/bin/env bash
# The official Elasticsearch client for Python searches a running program. It lives in an environment below target/servers; nothing is
# installed. The first use downloads it by pip.
# usage: elasticsearch-search.sh 8|9 [URL]    (without a URL it is only downloaded)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/../../target/servers"
servers=$(cd "$here/../../target/servers" && pwd)
case "$1" in
  8) version=8.17.2 ;;
  9) version=9.1.1 ;;
  *) echo "there are 8 and 9" >&2; exit 2 ;;
esac
client="$servers/elasticsearch-$version"
exec 9>"$servers/elasticsearch.lock"
flock 9
if [ ! -d "$client" ]; then
  rm -rf "$client.part"
  python3 -m venv "$client.part" >&2 || { echo "the client cannot be installed"; exit 1; }
  "$client.part/bin/python" -m pip install -q --disable-pip-version-check "elasticsearch==$version" >&2 ||
    { echo "the client cannot be installed"; exit 1; }
  mv "$client.part" "$client"
fi
exec 9>&-
[ $# -gt 1 ] || exit 0
exec "$client/bin/python" "$here/elasticsearch-search.py" "$2"
