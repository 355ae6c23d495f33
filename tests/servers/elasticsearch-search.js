// What a user of the official client does with lines that are there: count, search, page, aggregate, several at once, and errors; then sends
// some by its helper for bulk.
'use strict'
const assert = require('node:assert/strict')
const { Client, errors } = require('@elastic/elasticsearch')

async function main () {
  const client = new Client({ node: process.argv[2], requestTimeout: 60000 })
  assert.equal((await client.info()).tagline, 'You Know, for Search')
  assert.equal((await client.cluster.health({ wait_for_status: 'yellow' })).status, 'green')
  assert.equal(await client.ping(), true)

  const failed = { bool: { filter: [{ range: { status: { gte: 500 } } }, { term: { cohort: 'canary' } }] } }
  const { count } = await client.count({ index: 'logs-*', query: failed })
  assert.ok(count > 50, `${count}`)
  const page = await client.search({
    index: 'logs-*', query: failed, size: 20, sort: [{ '@timestamp': 'desc' }, '_doc'], track_total_hits: true
  })
  assert.deepEqual(page.hits.total, { value: count, relation: 'eq' })
  assert.ok(page.hits.hits.every(hit => hit._source.status >= 500))

  // All of them, page by page.
  const seen = new Set()
  for (let after; ;) {
    const { hits: { hits } } = await client.search({
      query: failed, size: 30, sort: [{ '@timestamp': { order: 'desc' } }, '_doc'], search_after: after
    })
    hits.forEach(hit => seen.add(hit._id))
    if (hits.length < 30) break
    after = hits.at(-1).sort
  }
  assert.equal(seen.size, count)

  const { aggregations } = await client.search({
    size: 0,
    aggs: {
      arms: {
        terms: { field: 'cohort' },
        aggs: {
          slow: { percentiles: { field: 'latency_ms', percents: [50, 99] } },
          users: { cardinality: { field: 'user' } },
          minutes: { date_histogram: { field: '@timestamp', fixed_interval: '1m' } }
        }
      }
    }
  })
  assert.ok(aggregations.arms.buckets.length >= 2)
  for (const arm of aggregations.arms.buckets) {
    assert.ok(arm.slow.values['99.0'] >= arm.slow.values['50.0'] && arm.slow.values['50.0'] > 0)
    assert.ok(arm.users.value > 10)
    assert.equal(arm.minutes.buckets.reduce((sum, minute) => sum + minute.doc_count, 0), arm.doc_count)
  }

  const both = await client.msearch({
    searches: [{}, { size: 0, query: failed }, {}, { size: 0, query: { match_phrase: { msg: 'pool is' } } }]
  })
  assert.equal(both.responses[0].hits.total.value, count)
  assert.ok((await client.search({ q: 'msg:nothing* OR status:>=500', size: 1 })).hits.total.value >= count)
  assert.equal((await client.fieldCaps({ index: '*', fields: 'cohort' })).fields.cohort.keyword.aggregatable, true)
  assert.ok('cohort' in (await client.indices.getMapping()).serin.mappings.properties)

  for (const question of [{ query: { fuzzy: { a: 'b' } } }, { query: { term: { staus: 1 } } }, { sort: ['latency_ms'] }]) {
    await assert.rejects(client.search(question), error => error instanceof errors.ResponseError && error.statusCode === 400)
  }

  // What is sent with the same client is found.
  const number = 100
  const sent = Array.from({ length: number }, (_, n) => ({
    ts: '2026-06-01T12:00:00Z', level: 'info', msg: `sent by javascript ${n}`
  }))
  const done = await client.helpers.bulk({ datasource: sent, onDocument: () => ({ create: { _index: 'logs' } }) })
  assert.deepEqual([done.total, done.failed], [number, 0])
  for (const began = Date.now(); ;) {
    const { count } = await client.count({ query: { match_phrase: { msg: 'sent by javascript' } } })
    if (count >= number) break
    assert.ok(Date.now() - began < 60000, `${count}`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  console.log('all is found')
}

main().catch(error => { console.error(error); process.exitCode = 1 })
