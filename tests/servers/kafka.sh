#!/usr/bin/env bash
# One Kafka node for tests, on loopback. Its jars come by Maven into target/servers once.
# usage: kafka.sh prepare
#        kafka.sh start FOLDER PORT CONTROLLER_PORT    (returns when the process runs; clients see when it answers)
#        kafka.sh stop FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
servers="$here/../../target/servers"

prepare() {
  mkdir -p "$servers"
  # Two tests that start at once share one download.
  exec 9>"$servers/lock"
  flock 9
  if [ ! -d "$servers/kafka" ]; then
    rm -rf "$servers/kafka.part"
    mvn -B -q -f "$here/kafka.pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
      -DoutputDirectory="$servers/kafka.part" -DincludeScope=runtime >&2
    mv "$servers/kafka.part" "$servers/kafka"
  fi
  exec 9>&-
}

quick=(java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
  -cp "$servers/kafka/*")

start() {
  local folder=$1 port=$2 controller=$3
  mkdir -p "$folder"
  cat >"$folder/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$folder/data
num.network.threads=2
num.io.threads=2
background.threads=2
num.partitions=3
auto.create.topics.enable=true
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
log.cleaner.dedupe.buffer.size=4194304
log.index.size.max.bytes=1048576
P
  "${quick[@]}" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c "$folder/server.properties" >"$folder/kafka.log" 2>&1
  "${quick[@]}" kafka.Kafka "$folder/server.properties" >>"$folder/kafka.log" 2>&1 </dev/null &
  echo $! >"$folder/pid"
}

stop() {
  local pid
  pid=$(cat "$1/pid")
  kill -9 "$pid" 2>/dev/null || true
}

case ${1:-} in
  prepare) prepare ;;
  start) prepare; start "$2" "$3" "$4" ;;
  stop) stop "$2" ;;
  *) echo "usage: kafka.sh prepare | start FOLDER PORT CONTROLLER_PORT | stop FOLDER" >&2; exit 2 ;;
esac
