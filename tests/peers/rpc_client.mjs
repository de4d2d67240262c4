// Drives a daemon's RPC API with kubo-rpc-client, as applications do.
//
// Start:  node rpc_client.mjs API_MULTIADDR OTHER_API_MULTIADDR
// Prints "ok NAME" for each part that behaves, or ends with the failure on standard error.

import assert from 'node:assert/strict'
import { create } from 'kubo-rpc-client'
import { CID } from 'multiformats/cid'

const [api, otherApi] = process.argv.slice(2)
const ipfs = create(api)
const other = create(otherApi)

const text = bytes => new TextDecoder().decode(bytes)
const bytes = text => new TextEncoder().encode(text)
async function all (source) {
  const items = []
  for await (const item of source) {
    items.push(item)
  }
  return items
}
const read = async source => Buffer.concat(await all(source))

const parts = {
  async identity () {
    const id = await ipfs.id()
    assert.match(id.id.toString(), /^12D3Koo/)
    assert.ok(id.addresses.length > 0 && id.protocols.length > 0)
    const { version } = await ipfs.version()
    assert.match(version, /^\d+\.\d+\.\d+/)
  },

  async add () {
    const added = await ipfs.add('hello world\n')
    assert.equal(added.cid.toString(), 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o')
    assert.equal(text(await read(ipfs.cat(added.cid))), 'hello world\n')
    assert.equal(text(await read(ipfs.cat(added.cid, { offset: 6, length: 5 }))), 'world')
    const raw = await ipfs.add('hello world\n', { cidVersion: 1, rawLeaves: true })
    assert.equal(raw.cid.version, 1)
    assert.equal(raw.cid.code, 0x55)
    const only = await ipfs.add('never stored, only hashed', { onlyHash: true })
    await assert.rejects(read(ipfs.cat(only.cid, { timeout: 1000 })))
  },

  async trees () {
    const files = [
      { path: 'root/b/deep.txt', content: 'deep' },
      { path: 'root/a.txt', content: bytes('a') },
      { path: 'root/ünï 日本.txt', content: 'names' },
      { path: 'root/empty' }
    ]
    let progress = 0
    const added = await all(ipfs.addAll(files, { progress: () => { progress++ } }))
    const root = added.find(entry => entry.path === 'root')
    assert.equal(added.at(-1).path, 'root')
    assert.ok(progress > 0)
    const listed = await all(ipfs.ls(root.cid))
    assert.deepEqual(listed.map(entry => entry.name).sort(), ['a.txt', 'b', 'empty', 'ünï 日本.txt'])
    assert.equal(listed.find(entry => entry.name === 'b').type, 'dir')
    assert.equal(listed.find(entry => entry.name === 'a.txt').type, 'file')
    assert.equal(text(await read(ipfs.cat(`/ipfs/${root.cid}/b/deep.txt`))), 'deep')
    const tar = await read(ipfs.get(root.cid))
    assert.ok(tar.length % 512 === 0 && tar.includes('deep.txt'))
    const wrapped = await all(ipfs.addAll([{ path: 'x', content: 'x' }], { wrapWithDirectory: true }))
    assert.equal(wrapped.length, 2)
    assert.equal(wrapped.at(-1).path, '')
  },

  async large () {
    const size = 3_000_000
    const content = Buffer.alloc(size, 'large file ')
    const added = await ipfs.add(content)
    assert.ok(added.size > size)
    assert.ok((await read(ipfs.cat(added.cid))).equals(content))
    const refs = await all(ipfs.refs(added.cid))
    assert.equal(refs.length, Math.ceil(size / 262144))
    assert.ok(refs.every(ref => ref.err === ''))
  },

  async blocks () {
    const cid = await ipfs.block.put(bytes('a block'), { format: 'raw', mhtype: 'sha2-256' })
    assert.equal(cid.code, 0x55)
    assert.equal(text(await ipfs.block.get(cid)), 'a block')
    const stat = await ipfs.block.stat(cid)
    assert.equal(stat.size, 7)
    assert.equal(stat.cid.toString(), cid.toString())
    const removed = await all(ipfs.block.rm(cid))
    assert.equal(removed[0].error ?? null, null)
    await assert.rejects(ipfs.block.get(cid, { timeout: 1000 }))
  },

  async pins () {
    const { cid } = await ipfs.add('to be pinned', { pin: false })
    const pinned = async () => (await all(ipfs.pin.ls({ type: 'recursive' }))).map(pin => pin.cid.toString())
    assert.ok(!(await pinned()).includes(cid.toString()))
    assert.equal((await ipfs.pin.add(cid)).toString(), cid.toString())
    assert.ok((await pinned()).includes(cid.toString()))
    const [one] = await all(ipfs.pin.ls({ paths: cid }))
    assert.equal(one.type, 'recursive')
    assert.equal((await ipfs.pin.rm(cid)).toString(), cid.toString())
    await assert.rejects(ipfs.pin.rm(cid), /not pinned/)
  },

  async swarm () {
    const { id, addresses } = await other.id()
    const address = addresses.map(String).find(addr => addr.includes('/127.0.0.1/tcp/') && !addr.includes('/ws'))
    await ipfs.swarm.connect(address)
    const peers = await ipfs.swarm.peers({ verbose: true })
    assert.ok(peers.some(peer => peer.peer.toString() === id.toString()))
    assert.ok((await ipfs.swarm.localAddrs()).length > 0)
    const { cid } = await other.add('from the other node')
    assert.equal(text(await read(ipfs.cat(cid, { timeout: 20_000 }))), 'from the other node')
    const stat = await ipfs.bitswap.stat()
    assert.ok(stat.blocksReceived > 0n)
    await ipfs.swarm.disconnect(`/p2p/${id}`)
  },

  async repository () {
    const stat = await ipfs.repo.stat()
    assert.ok(stat.numObjects > 0n && stat.repoSize > 0n)
    const addresses = await ipfs.config.get('Addresses')
    assert.ok(Array.isArray(addresses.Swarm))
    await ipfs.config.set('Datastore.StorageMax', '9GB')
    assert.equal(await ipfs.config.get('Datastore.StorageMax'), '9GB')
    assert.equal((await ipfs.config.getAll()).Identity.PrivKey, undefined)
  },

  async files () {
    await ipfs.files.mkdir('/a/b', { parents: true })
    await ipfs.files.write('/a/b/file', bytes('hello world'), { create: true })
    await ipfs.files.write('/a/b/file', bytes('there'), { offset: 6 })
    assert.equal(text(await read(ipfs.files.read('/a/b/file'))), 'hello there')
    assert.equal(text(await read(ipfs.files.read('/a/b/file', { offset: 6, length: 3 }))), 'the')
    const stat = await ipfs.files.stat('/a/b/file')
    assert.deepEqual([stat.type, stat.size], ['file', 11])
    const [listed] = await all(ipfs.files.ls('/a/b'))
    assert.deepEqual([listed.name, listed.type, listed.size], ['file', 'file', 11])
    assert.equal(listed.cid.toString(), stat.cid.toString())
    await ipfs.files.cp(`/ipfs/${stat.cid}`, '/copy')
    await ipfs.files.mv('/copy', '/a/moved')
    await ipfs.files.rm('/a/b', { recursive: true })
    const root = await ipfs.files.flush('/')
    assert.equal(root.toString(), (await ipfs.files.stat('/')).cid.toString())
    assert.deepEqual((await all(ipfs.files.ls('/a'))).map(entry => entry.name), ['moved'])
    await assert.rejects(ipfs.files.stat('/a/b'), /file does not exist/)
  },

  async errors () {
    await assert.rejects(read(ipfs.cat('garbage')), { name: 'HTTPError' })
    const missing = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
    await assert.rejects(read(ipfs.cat(missing, { timeout: 500 })))
    const { cid } = await all(ipfs.addAll([{ path: 'd/f', content: 'f' }])).then(added => added.at(-1))
    await assert.rejects(read(ipfs.cat(cid)), /directory/)
    await assert.rejects(read(ipfs.cat(`/ipfs/${cid}/nowhere`)), /nowhere/)
  }
}

for (const [name, part] of Object.entries(parts)) {
  try {
    await part()
  } catch (error) {
    error.message = `${name}: ${error.message}`
    throw error
  }
  console.log(`ok ${name}`)
}
