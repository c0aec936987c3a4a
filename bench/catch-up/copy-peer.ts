// The far end of a plain copy: a mesh of its own that counts what a stream brings and answers when it ended. Arguments: its one peer, that peer's address.
import { type HostId } from '../../src/base/ids.ts'
import { COPY_STREAM, copyMesh, introduce } from './plain-copy.ts'

const [peer = '', address = ''] = process.argv.slice(2)
// It ends with the bench, whatever becomes of that.
process.once('disconnect', () => process.exit())

const mesh = await copyMesh()
mesh.handleStream(COPY_STREAM, async (stream, header) => {
  let missing = Number(header)
  stream.onData((bytes) => {
    missing -= bytes.length
    if (missing <= 0) stream.close()
  })
})
introduce(mesh, { host: peer as HostId, addresses: [address] })
process.send?.({ host: mesh.self, addresses: mesh.ownAddresses() })
