// Starts and stops the binary with ipfsd-ctl, as test suites of applications do.
//
// Start:  node launcher.mjs BINARY
// Prints "ok NAME" for each part that behaves, or ends with the failure on standard error.

import assert from 'node:assert/strict'
import fs from 'node:fs/promises'
import { createFactory } from 'ipfsd-ctl'
import { create } from 'kubo-rpc-client'

const [bin] = process.argv.slice(2)
const factory = createFactory({ type: 'kubo', test: true, disposable: true, rpc: create, bin })

const one = await factory.spawn()
const two = await factory.spawn()
console.log('ok spawn')

const info = await one.info()
assert.match(info.version, /\d+\.\d+\.\d+/)
assert.ok(info.peerId.length > 40 && info.multiaddrs.length > 0 && info.pid > 0)
await fs.access(`${info.repo}/api`)
console.log('ok info')

const address = (await two.api.id()).addresses.map(String).find(addr => addr.includes('/127.0.0.1/tcp/') && !addr.includes('/ws'))
await one.api.swarm.connect(address)
const { cid } = await two.api.add('between two launched nodes')
const parts = []
for await (const part of one.api.cat(cid, { timeout: 20_000 })) {
  parts.push(part)
}
assert.equal(Buffer.concat(parts).toString(), 'between two launched nodes')
console.log('ok exchange')

await factory.clean()
await assert.rejects(fs.access(info.repo), 'a disposable repository is gone')
await assert.rejects(one.api.id(), 'nobody listens any more')
console.log('ok clean')
process.exit(0)
