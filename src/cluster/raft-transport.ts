// Raft messages as frames of the mesh, snapshots as streams of it, and back.
import { errorText, OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { decodeMessage, encodeMessage } from '../consensus/codec.ts'
import { type Message, type NodeId, type SnapshotStream, type Transport } from '../consensus/types.ts'
import { type Mesh } from '../mesh/mesh.ts'
import { type Members } from './members.ts'

export interface RaftTransportOptions {
  readonly mesh: Mesh
  readonly members: Members
  readonly log: Log
  /** Mesh generation: frames of another one are dropped. */
  readonly generation: () => number
}

/** Streams for snapshots; their header is [generation, the member that is meant]. */
export const SNAPSHOT_STREAM = 'raft.snapshot'
/** More than the sender waits: it gives up first. */
const OPEN_MS = 10_000

/** Appends may be dropped when a link is full (Raft sends them again); votes and beats go first. */
export function raftTransport({ mesh, members, generation }: RaftTransportOptions): Transport {
  return {
    openSnapshot(to, signal) {
      const host = members.hostOf(to)
      if (host === undefined) return Promise.reject(new OperationError('unreachable', `nobody knows the host of member ${to}`))
      return mesh.openStream(host, SNAPSHOT_STREAM, [generation(), to], { deadlineMs: OPEN_MS, signal })
    },
    send(messages) {
      for (const message of messages) {
        const host = members.hostOf(message.to)
        if (host === undefined) continue
        mesh.send(host, encodeMessage(message, generation()), message.kind === 'append' ? 'bulk' : 'urgent')
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

/** Returns the way to take no more. A snapshot that is meant for another member, or comes from another generation, is refused. */
export function receiveSnapshots(
  { mesh, members, generation }: RaftTransportOptions,
  self: NodeId,
  receive: (stream: SnapshotStream, from: NodeId) => void,
): () => void {
  return mesh.handleStream(SNAPSHOT_STREAM, async (stream, header) => {
    const [theirs, to] = Array.isArray(header) ? (header as readonly unknown[]) : []
    if (theirs !== generation() || to !== self) {
      throw new OperationError('refused', `a snapshot for member ${String(to)} of generation ${String(theirs)} is not for member ${self}`)
    }
    const from = members.memberOf(stream.host)
    if (from === undefined) throw new OperationError('refused', `nobody knows the member on host ${stream.host}`)
    receive(stream, from)
  })
}
