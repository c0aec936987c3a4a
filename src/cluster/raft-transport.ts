// Raft messages as frames of the mesh, and back.
import { errorText } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { decodeMessage, encodeMessage } from '../consensus/codec.ts'
import { type Message, type Transport } from '../consensus/types.ts'
import { type Mesh } from '../mesh/mesh.ts'
import { type Members } from './members.ts'

export interface RaftTransportOptions {
  readonly mesh: Mesh
  readonly members: Members
  readonly log: Log
  /** Mesh generation: frames of another one are dropped. */
  readonly generation: () => number
}

/** Appends and snapshots may be dropped when a link is full (Raft sends them again); votes and beats go first. */
export function raftTransport({ mesh, members, generation }: RaftTransportOptions): Transport {
  return {
    send(messages) {
      for (const message of messages) {
        const host = members.hostOf(message.to)
        if (host === undefined) continue
        const bulk = message.kind === 'append' || message.kind === 'snapshot'
        mesh.send(host, encodeMessage(message, generation()), bulk ? 'bulk' : 'urgent')
      }
    },
  }
}

/** Returns the way to stop listening. A frame that does not parse, or claims another member's name, is dropped and logged. */
export function receiveFrames(options: RaftTransportOptions, receive: (message: Message) => void): () => void {
  const { mesh, members, log } = options
  const take = (from: HostId, frame: Uint8Array): void => {
    try {
      const { message, generation } = decodeMessage(frame)
      if (generation !== options.generation()) return
      if (!members.heard(message.from, from)) log.warn({ from, member: message.from }, 'frame of a member that is another host')
      else receive(message)
    } catch (error) {
      log.warn({ from, error: errorText(error) }, 'frame that is no Raft message')
    }
  }
  return mesh.onFrame(take)
}
