#!/usr/bin/env bash
# Real clients for tests: rsyslog, syslog-ng and clients in Python, unpacked below target/servers; nothing is installed.
# The first use downloads them: Debian's packages by apt, Python's by pip.
# usage: shippers.sh prepare
#        shippers.sh rsyslog CONFIGURATION FOLDER      (runs until it is told to stop)
#        shippers.sh syslog-ng CONFIGURATION FOLDER    (the same)
#        shippers.sh python PROGRAM
#        shippers.sh prepare-kafka                     (clients of Kafka, which have a folder of their own)
#        shippers.sh kcat ARGUMENT...
#        shippers.sh python-kafka PROGRAM
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/../../target/servers"
servers=$(cd "$here/../../target/servers" && pwd)
shippers="$servers/shippers"

# Folders of libraries, named by the machine's architecture.
libraries() {
  local folder all="$shippers/usr/lib/syslog-ng"
  for folder in "$shippers"/usr/lib/*-linux-gnu* "$shippers"/lib/*-linux-gnu*; do all="$folder:$all"; done
  echo "$all"
}

# Debian's packages of a folder, unpacked, and Python's in an environment; made anew where other ones are wanted.
# usage: unpacked FOLDER "DEBIAN'S..." "PYTHON'S..."
unpacked() {
  local folder=$1 debian=() python=()
  read -ra debian <<<"$2"
  read -ra python <<<"$3"
  # Tests that start at once share one download.
  exec 9>"$servers/shippers.lock"
  flock 9
  if [ "$(cat "$folder/list" 2>/dev/null)" != "$2 $3" ]; then
    rm -rf "$folder" "$folder.part"
    mkdir -p "$folder.part/packages"
    cd "$folder.part/packages"
    apt-get download -qq "${debian[@]}" >&2 || { apt-get update -qq >&2 && apt-get download -qq "${debian[@]}" >&2; }
    for package in *.deb; do dpkg -x "$package" ..; done
    cd ..
    # The folder of an environment stands in its scripts, but `python -m` needs none of them.
    python3 -m venv python
    python/bin/pip install -q --disable-pip-version-check "${python[@]}" >&2
    echo "$2 $3" >list
    mv "$folder.part" "$folder"
  fi
  exec 9>&-
}

kafka="librdkafka1 liblz4-1 libzstd1 libsasl2-2 libssl3 zlib1g"

prepare() {
  unpacked "$shippers" "rsyslog rsyslog-elasticsearch rsyslog-kafka libestr0 libfastjson4 liblognorm5 \
syslog-ng-core syslog-ng-mod-http syslog-ng-mod-rdkafka libivykis0 libnet1 libpcre3 libwrap0 $kafka" \
    "elasticsearch==9.1.1 opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2"
}

clients="$servers/kafka-clients"

prepare_kafka() {
  unpacked "$clients" "kcat libyajl2 $kafka" "confluent-kafka==2.16.1"
}

case ${1:-} in
  prepare) prepare ;;
  prepare-kafka) prepare_kafka ;;
  kcat)
    prepare_kafka
    shift
    LD_LIBRARY_PATH=$(echo "$clients"/usr/lib/*-linux-gnu* "$clients"/lib/*-linux-gnu* | tr ' ' ':')
    export LD_LIBRARY_PATH
    exec "$clients/usr/bin/kcat" "$@"
    ;;
  python-kafka)
    prepare_kafka
    exec "$clients/python/bin/python" "$2"
    ;;
  rsyslog)
    prepare
    modules=$(echo "$shippers"/usr/lib/*-linux-gnu*/rsyslog/)
    LD_LIBRARY_PATH=$(libraries)
    export LD_LIBRARY_PATH RSYSLOG_MODDIR=$modules
    exec "$shippers/usr/sbin/rsyslogd" -n -i "$3/rsyslog.pid" -f "$2"
    ;;
  syslog-ng)
    prepare
    LD_LIBRARY_PATH=$(libraries)
    export LD_LIBRARY_PATH
    exec "$shippers/usr/sbin/syslog-ng" -F --no-caps --module-path "$shippers/usr/lib/syslog-ng/3.38" \
      -f "$2" -R "$3/persist" -p "$3/syslog-ng.pid" -c "$3/syslog-ng.ctl"
    ;;
  python)
    prepare
    exec "$shippers/python/bin/python" "$2"
    ;;
  *) echo "usage: shippers.sh prepare | rsyslog CONFIGURATION FOLDER | syslog-ng CONFIGURATION FOLDER | python PROGRAM | prepare-kafka | kcat ARGUMENT... | python-kafka PROGRAM" >&2; exit 2 ;;
esac
