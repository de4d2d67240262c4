// Asks a router with Helia's client, as browsers do.
//
// Start:  node routing_client.mjs URL CID PEER NAME RECORD_FILE
// PEER provides CID; NAME (the CID of a key) is published with RECORD_FILE here.
// Prints "ok NAME" for each part that behaves, or ends with the failure on standard error.

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import { delegatedRoutingV1HttpApiClient } from '@helia/delegated-routing-v1-http-api-client'
import { defaultLogger } from '@libp2p/logger'
import { CID } from 'multiformats/cid'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import * as Digest from 'multiformats/hashes/digest'

const [url, cid, peer, name, recordFile] = process.argv.slice(2)
const client = delegatedRoutingV1HttpApiClient({ url, cacheTTL: 0 })({ logger: defaultLogger() })
await client.start()

const LIBP2P_KEY = 0x72
const wanted = CID.parse(cid)
const peerCid = CID.createV1(LIBP2P_KEY, Digest.decode(base58btc.decode(`z${peer}`)))
const named = CID.parse(name, base36)
const absent = CID.parse('bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4')

async function all (source) {
  const items = []
  for await (const item of source) {
    items.push(item)
  }
  return items
}

const parts = {
  async providers () {
    const found = await all(client.getProviders(wanted))
    assert.equal(found.length, 1)
    assert.equal(found[0].ID.toString(), peerCid.toString())
    assert.ok(found[0].Addrs.some(addr => addr.toString().startsWith('/ip4/127.0.0.1/tcp/')))
    assert.deepEqual(await all(client.getProviders(absent)), [])
  },

  async filters () {
    const count = async options => (await all(client.getProviders(wanted, options))).length
    assert.equal(await count({ filterAddrs: ['tcp'] }), 1)
    assert.equal(await count({ filterAddrs: ['!tcp'] }), 0)
    assert.equal(await count({ filterProtocols: ['unknown'] }), 1)
    assert.equal(await count({ filterProtocols: ['transport-ipfs-gateway-http'] }), 0)
  },

  async peers () {
    const found = await all(client.getPeers(peerCid))
    assert.equal(found.length, 1)
    assert.ok(found[0].Addrs.length > 0)
  },

  async closest () {
    const found = await all(client.getClosestPeers(wanted))
    assert.ok(found.some(record => record.ID.toString() === peerCid.toString()))
  },

  async records () {
    await assert.rejects(client.getIPNS(named), { name: 'NotFoundError' })
    const record = await fs.readFile(recordFile)
    const broken = Uint8Array.from(record)
    broken[broken.length - 1] ^= 1
    await assert.rejects(client.putIPNS(named, broken))
    await client.putIPNS(named, Uint8Array.from(record))
    assert.deepEqual(Buffer.from(await client.getIPNS(named)), record)
  }
}

for (const [part, check] of Object.entries(parts)) {
  await check()
  console.log(`ok ${part}`)
}
await client.stop()
