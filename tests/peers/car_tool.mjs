// Reads and writes CAR files with @ipld/car, as other programs do.
//
// Start:  node car_tool.mjs list FILE          prints roots, a line "-", and CID, length of blocks
//         node car_tool.mjs indexed FILE CID   prints the length of a block found by its place
//         node car_tool.mjs copy FILE TARGET   writes the same roots and blocks to another file

import { CarIndexedReader, CarIndexer, CarReader, CarWriter } from '@ipld/car'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

const [what, file, other] = process.argv.slice(2)

async function check ({ cid, bytes }) {
  if (cid.multihash.code === sha256.code) {
    assert.ok(Digest.equals(await sha256.digest(bytes), cid.multihash), `${cid} is corrupt`)
  }
}

if (what === 'list') {
  const reader = await CarReader.fromIterable(fs.createReadStream(file))
  for (const root of await reader.getRoots()) {
    console.log(root.toString())
  }
  console.log('-')
  for await (const block of reader.blocks()) {
    await check(block)
    console.log(`${block.cid} ${block.bytes.length}`)
  }
  // The indexer reads heads only and has to come to the same end.
  let count = 0
  for await (const place of await CarIndexer.fromIterable(fs.createReadStream(file))) {
    count += place.blockLength >= 0 ? 1 : 0
  }
  console.log(`indexed ${count}`)
} else if (what === 'indexed') {
  const reader = await CarIndexedReader.fromFile(file)
  const block = await reader.get(CID.parse(other))
  await check(block)
  console.log(block.bytes.length)
  await reader.close()
} else {
  const reader = await CarReader.fromIterable(fs.createReadStream(file))
  const { writer, out } = CarWriter.create(await reader.getRoots())
  const written = pipeline(Readable.from(out), fs.createWriteStream(other))
  for await (const block of reader.blocks()) {
    await writer.put(block)
  }
  await writer.close()
  await written
}
