# What a user of the official client does with lines that are there: count, search, page, highlight, aggregate, several at once, and errors.
import sys

import elasticsearch
from elasticsearch import Elasticsearch, helpers

client = Elasticsearch(sys.argv[1], request_timeout=60)
assert client.info()["tagline"] == "You Know, for Search"
assert client.cluster.health(wait_for_status="yellow")["status"] == "green"

failed = {"bool": {"filter": [{"range": {"status": {"gte": 500}}}, {"term": {"cohort": "canary"}}]}}
count = client.count(index="logs-*", query=failed)["count"]
assert count > 50, count
page = client.search(index="logs-*", query=failed, size=20, sort=[{"@timestamp": "desc"}, "_doc"], track_total_hits=True)
assert page["hits"]["total"] == {"value": count, "relation": "eq"}, page["hits"]["total"]
assert all(hit["_source"]["status"] >= 500 for hit in page["hits"]["hits"])

# All of them, page by page.
seen, after = set(), None
while True:
    page = client.search(query=failed, size=30, sort=[{"@timestamp": {"order": "desc"}}, "_doc"], search_after=after)
    hits = page["hits"]["hits"]
    seen.update(hit["_id"] for hit in hits)
    if len(hits) < 30:
        break
    after = hits[-1]["sort"]
assert len(seen) == count, (len(seen), count)

answer = client.search(size=0, aggs={
    "arms": {"terms": {"field": "cohort"}, "aggs": {
        "slow": {"percentiles": {"field": "latency_ms", "percents": [50, 99]}},
        "users": {"cardinality": {"field": "user"}},
        "minutes": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m"}},
    }},
})
for arm in answer["aggregations"]["arms"]["buckets"]:
    assert arm["slow"]["values"]["99.0"] >= arm["slow"]["values"]["50.0"] > 0
    assert arm["users"]["value"] > 10
    assert sum(minute["doc_count"] for minute in arm["minutes"]["buckets"]) == arm["doc_count"]

both = client.msearch(searches=[{}, {"size": 0, "query": failed}, {}, {"size": 0, "query": {"match_phrase": {"msg": "pool is"}}}])
assert both["responses"][0]["hits"]["total"]["value"] == count
assert client.search(q="msg:nothing* OR status:>=500", size=1)["hits"]["total"]["value"] >= count
assert client.field_caps(index="*", fields="cohort")["fields"]["cohort"]["keyword"]["aggregatable"]
assert "cohort" in client.indices.get_mapping()["serin"]["mappings"]["properties"]

for question in [{"query": {"fuzzy": {"a": "b"}}}, {"query": {"term": {"staus": 1}}}, {"sort": ["latency_ms"]}]:
    try:
        client.search(**question)
    except elasticsearch.BadRequestError as error:
        assert error.status_code == 400 and error.error, error
    else:
        raise AssertionError(question)

# What is sent with the same client is found.
sent = ({"_op_type": "create", "_index": "logs", "ts": "2026-06-01T12:00:00Z", "level": "info", "msg": f"sent by client {sys.argv[1]} number {n}"}
        for n in range(100))
helpers.bulk(client, sent)
print("all is found")
