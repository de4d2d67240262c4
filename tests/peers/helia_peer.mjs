// A Helia node on loopback, driven by JSON lines: one request a line, one answer a line.
//
// Start:  node helia_peer.mjs [tcp] [ws] [RELAY]  (what it listens on; also what it can dial; RELAY
//         is the address of a relay to hold a reservation with)
// First line out: {"ready":true,"id":PEER_ID,"addrs":[MULTIADDR…]}
// Requests, answered in order:
//   {"op":"add","path":P}            file, symlink or tree on disk -> {"cid":C}
//   {"op":"get","cid":C,"path":P}    fetches the DAG and writes it to P -> {"ok":true}
//   {"op":"connect","addr":A}        dials -> {"ok":true}
//   {"op":"addrs"}                   where it can be reached by now -> {"addrs":[…]}
//   {"op":"peers"}                   -> {"peers":[{"id":…,"addr":…}]}
// Anything that fails answers {"error":TEXT}. The end of standard input ends the node.
//
// It knows no bootstrap peers, no gateways and no routing: blocks come by bitswap from the
// peers it was told to dial, or not at all.

import fs from 'node:fs/promises'
import { createReadStream, createWriteStream } from 'node:fs'
import path from 'node:path'
import readline from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import * as dagPb from '@ipld/dag-pb'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { createHeliaLight } from 'helia'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'

const REQUEST_TIMEOUT = 60_000
// A directory's entries that are fetched at the same time.
const ENTRIES_AT_ONCE = 64

const args = process.argv.length > 2 ? process.argv.slice(2) : ['tcp', 'ws']
const relays = args.filter(arg => arg.startsWith('/'))
const kinds = args.filter(arg => !arg.startsWith('/'))
const listen = { tcp: '/ip4/127.0.0.1/tcp/0', ws: '/ip4/127.0.0.1/tcp/0/ws' }
const transport = { tcp, ws: webSockets }
const helia = withBitswap(withLibp2pLight(createHeliaLight(), {
  addresses: {
    listen: [...kinds.map(kind => listen[kind]), ...relays.map(relay => `${relay}/p2p-circuit`)]
  },
  transports: [...kinds.map(kind => transport[kind]()), circuitRelayTransport()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  // Loopback is all there is; the default refuses to dial private addresses from browsers only,
  // but says so in more than one place, so it is set plainly.
  connectionGater: { denyDialMultiaddr: () => false },
  services: { identify: identify() }
}))
await helia.start()
const files = unixfs(helia)

// Several releases of multiformats may sit in one tree: a CID crosses them as text.
const parse = cid => CID.parse(String(cid))

async function putNode (node) {
  const bytes = dagPb.encode(dagPb.prepare(node))
  const cid = CID.createV1(dagPb.code, await sha256.digest(bytes))
  await helia.blockstore.put(cid, bytes)
  const linked = node.Links.reduce((sum, link) => sum + link.Tsize, 0)
  return { cid, size: bytes.byteLength + linked }
}

// Helia's importer knows files; symlinks and the directories that hold them are made by hand.
async function add (source) {
  const stat = await fs.lstat(source)
  if (stat.isSymbolicLink()) {
    const target = new TextEncoder().encode(await fs.readlink(source))
    return await putNode({ Data: new UnixFS({ type: 'symlink', data: target }).marshal(), Links: [] })
  }
  if (stat.isFile()) {
    const cid = parse(await files.addByteStream(createReadStream(source)))
    const { dagSize, fileSize } = await files.stat(cid, { extended: true }).catch(() => ({}))
    return { cid, size: Number(dagSize ?? fileSize ?? stat.size) }
  }
  const names = (await fs.readdir(source)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const Links = []
  for (const name of names) {
    const { cid, size } = await add(path.join(source, name))
    Links.push({ Name: name, Tsize: size, Hash: cid })
  }
  return await putNode({ Data: new UnixFS({ type: 'directory' }).marshal(), Links })
}

async function readBlock (cid, signal) {
  const parts = []
  for await (const part of helia.blockstore.get(cid, { signal })) {
    parts.push(part)
  }
  return Buffer.concat(parts)
}

async function get (cid, target, signal) {
  const kind = cid.code === raw.code
    ? 'file'
    : UnixFS.unmarshal(dagPb.decode(await readBlock(cid, signal)).Data)
  if (kind.type === 'symlink') {
    await fs.symlink(new TextDecoder().decode(kind.data), target)
  } else if (kind.type === 'directory' || kind.type === 'hamt-sharded-directory') {
    await fs.mkdir(target)
    const links = kind.type === 'directory'
      ? dagPb.decode(await readBlock(cid, signal)).Links.map(link => ({ name: link.Name, cid: link.Hash }))
      : files.ls(cid, { signal })
    let open = []
    for await (const entry of links) {
      open.push(get(parse(entry.cid), path.join(target, path.basename(entry.name)), signal))
      if (open.length === ENTRIES_AT_ONCE) {
        await Promise.all(open)
        open = []
      }
    }
    await Promise.all(open)
  } else {
    await pipeline(files.cat(cid, { signal }), createWriteStream(target))
  }
}

const operations = {
  add: async ({ path }) => ({ cid: String((await add(path)).cid) }),
  get: async ({ cid, path }, signal) => {
    await get(parse(cid), path, signal)
    return { ok: true }
  },
  connect: async ({ addr }, signal) => {
    await helia.libp2p.dial(multiaddr(addr), { signal })
    return { ok: true }
  },
  addrs: async () => ({ addrs: helia.libp2p.getMultiaddrs().map(String) }),
  peers: async () => ({
    peers: helia.libp2p.getConnections().map(connection => ({
      id: String(connection.remotePeer),
      addr: String(connection.remoteAddr)
    }))
  })
}

const say = answer => process.stdout.write(JSON.stringify(answer) + '\n')

say({
  ready: true,
  id: String(helia.libp2p.peerId),
  addrs: helia.libp2p.getMultiaddrs().map(String)
})
for await (const line of readline.createInterface({ input: process.stdin })) {
  try {
    const request = JSON.parse(line)
    const operation = operations[request.op]
    if (operation == null) {
      throw new Error(`no operation ${request.op}`)
    }
    say(await operation(request, AbortSignal.timeout(REQUEST_TIMEOUT)))
  } catch (error) {
    say({ error: String(error?.stack ?? error) })
  }
}
process.exit(0)
