#!/usr/bin/env bash
# Kafka nodes for tests, on loopback: one, or several that are a cluster. Its jars come by Maven into target/servers once.
# usage: kafka.sh prepare
#        kafka.sh start FOLDER PORT CONTROLLER_PORT    (returns when the process runs; clients see when it answers)
#        kafka.sh start-tls FOLDER PORT CONTROLLER_PORT SASL_SSL_PORT SSL_PORT
#        kafka.sh start-one FOLDER PORT CONTROLLER_PORT NUMBER VOTERS   (a node of a cluster; VOTERS as controller.quorum.voters)
#        kafka.sh again FOLDER                         (the same node with what it has, after a stop)
#        kafka.sh forbid-group BROKERS GROUP           (another user alone may use the group from now on)
#        kafka.sh stop FOLDER                          (kill -9)
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

# A node that also listens with TLS: with a password or a token (SASL_SSL), or with a client's certificate (SSL).
start_tls() {
  local folder=$1 port=$2 controller=$3 sasl=$4 ssl=$5 name
  mkdir -p "$folder"
  (
    cd "$folder"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=test-ca 2>/dev/null
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >names
    for name in server client; do
      openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj /CN=localhost 2>/dev/null
      openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out $name.pem 2>/dev/null
    done
    cat server.key server.pem >keystore.pem
  )
  configure "$folder" "$port" "$controller"
  sed -i -e "s|^listeners=.*|&,SASL_SSL://127.0.0.1:$sasl,SSL://127.0.0.1:$ssl|" \
    -e "s|^advertised.listeners=.*|&,SASL_SSL://localhost:$sasl,SSL://localhost:$ssl|" \
    -e "s|^listener.security.protocol.map=.*|&,SASL_SSL:SASL_SSL,SSL:SSL|" "$folder/server.properties"
  cat >>"$folder/server.properties" <<P
sasl.enabled.mechanisms=SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
listener.name.ssl.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location=$folder/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=$folder/ca.pem
P
  format "$folder" --add-scram 'SCRAM-SHA-512=[name=serin,password=serin-secret]'
  again "$folder"
}

# A single node: it asks for rights where there are any. In a cluster the nodes would need rights themselves before they know of any.
start() {
  configure "$1" "$2" "$3"
  cat >>"$1/server.properties" <<P
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
P
  copy_formatted "$1"
  again "$1"
}

# A node of a cluster, in which another takes over within seconds.
start_one() {
  local folder=$1 port=$2 controller=$3 number=$4 voters=$5 name
  configure "$folder" "$port" "$controller"
  sed -i -e "s|^node.id=.*|node.id=$number|" -e "s|^controller.quorum.voters=.*|controller.quorum.voters=$voters|" \
    "$folder/server.properties"
  cat >>"$folder/server.properties" <<P
offsets.topic.replication.factor=3
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=1000
controller.quorum.fetch.timeout.ms=1500
replica.lag.time.max.ms=5000
P
  copy_formatted "$folder"
  # Each node is itself: no two have the same number, nor the same folder.
  for name in "$folder"/data/meta.properties; do
    sed -i -e "s|^node.id=.*|node.id=$number|" -e "s|^directory.id=....|directory.id=AAA$number|" "$name"
  done
  again "$folder"
}

copy_formatted() {
  # A folder that was formatted knows nothing of its ports: it is copied, as long as what it is made of is the same.
  local folder=$1 made
  made="$servers/formatted.$(cat "$here/kafka.sh" "$here/kafka.pom.xml" | sha256sum | cut -c 1-16)"
  [ ! -e "$folder/data" ] || { echo "$folder/data is there already" >&2; exit 1; }
  exec 9>"$servers/lock"
  flock 9
  if [ ! -d "$made" ]; then
    format "$folder"
    rm -rf "$made.part"
    cp -r "$folder/data" "$made.part"
    mv "$made.part" "$made"
  else
    cp -r "$made" "$folder/data"
  fi
  exec 9>&-
}

format() {
  local folder=$1
  shift
  "${quick[@]}" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c "$folder/server.properties" "$@" >"$folder/kafka.log" 2>&1
}

configure() {
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
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
log.index.size.max.bytes=1048576
message.max.bytes=33554432
replica.fetch.max.bytes=33554432
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=0
P
}

again() {
  local folder=$1
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
  start-tls) prepare; start_tls "$2" "$3" "$4" "$5" "$6" ;;
  start-one) prepare; start_one "$2" "$3" "$4" "$5" "$6" ;;
  again) again "$2" ;;
  forbid-group) java -cp "$servers/kafka/*" "$here/ForbidGroup.java" "$2" "$3" ;;
  stop) stop "$2" ;;
  *) echo "usage: kafka.sh prepare | start FOLDER PORT CONTROLLER_PORT | start-one FOLDER PORT CONTROLLER_PORT NUMBER VOTERS | again FOLDER | forbid-group BROKERS GROUP | stop FOLDER" >&2; exit 2 ;;
esac
