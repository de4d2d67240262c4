// A router on loopback: Helia's server of the routing API in front of a list.
//
// Start:  node routing_server.mjs PEER ADDR
// PEER, at ADDR, provides everything. Records that are put are kept, others are not found.
// First line out: {"ready":true,"addrs":[URL]}; the end of standard input ends it.

import { createDelegatedRoutingV1HttpApiServer } from '@helia/delegated-routing-v1-http-api-server'

const [peer, addr] = process.argv.slice(2)
const provider = { id: peer, multiaddrs: [addr] }
const records = new Map()
const keyOf = bytes => Buffer.from(bytes).toString('hex')

function notFound () {
  const error = new Error('not found')
  error.name = 'NotFoundError'
  return error
}

const routing = {
  async * findProviders () {
    yield provider
  },

  async findPeer (id) {
    if (id.toString() !== peer) {
      throw notFound()
    }
    return provider
  },

  async get (key) {
    const record = records.get(keyOf(key))
    if (record == null) {
      throw notFound()
    }
    return record
  },

  async put (key, record) {
    records.set(keyOf(key), Buffer.from(record))
  }
}

const server = await createDelegatedRoutingV1HttpApiServer({ routing }, {
  listen: { host: '127.0.0.1', port: 0 }
})
const { port } = server.server.address()
console.log(JSON.stringify({ ready: true, addrs: [`http://127.0.0.1:${port}`] }))
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
