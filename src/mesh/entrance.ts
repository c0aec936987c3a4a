// Who comes in, and where to: the one place that tells members from strangers.
import { type Clock } from '../base/clock.ts'
import { type HostId } from '../base/ids.ts'
import { type Alarms } from './alarms.ts'
import { GREETING_MS } from './greeting.ts'
import { type JoinGate } from './join-gate.ts'
import { type Links } from './links.ts'
import { type SideStreams } from './side-streams.ts'
import { type StreamKind, type WireConnection, type WireStream } from './wire.ts'

/** Time for a member that connected to greet; then its connection is closed. */
const UNGREETED_MS = GREETING_MS + 1000

export interface EntranceOptions {
  readonly clock: Clock
  readonly alarms: Alarms
  readonly links: Links
  readonly sides: SideStreams
  readonly joinGate: JoinGate
  /** Asked again for each stream: a connection may outlive a membership by a moment. */
  readonly isMember: (host: HostId) => boolean
  /** It was one, and is to be told that it is none any more. */
  readonly isFormer: (host: HostId) => boolean
}

export class Entrance {
  readonly #options: EntranceOptions

  constructor(options: EntranceOptions) {
    this.#options = options
  }

  /** May this identity connect? A stranger that may takes a place at the join gate. */
  admit(host: HostId, address: string): boolean {
    const { alarms, joinGate, isMember, isFormer } = this.#options
    // A place at the gate first: a former member may have come to join again.
    if (isMember(host) || joinGate.admit(host) || isFormer(host)) return true
    alarms.raise({ kind: 'refused', host, address, reason: 'no member of this mesh' })
    return false
  }

  connected(connection: WireConnection): void {
    const { clock, links, sides, joinGate, isMember, isFormer } = this.#options
    if (!isMember(connection.host) && (joinGate.awaits(connection.host) || !isFormer(connection.host))) {
      joinGate.connected(connection)
      return
    }
    const timer = clock.after(UNGREETED_MS, () => {
      if (!links.holds(connection) && !sides.isGreeted(connection)) connection.abort('it did not greet')
    })
    connection.onClose(() => timer.cancel())
  }

  opened(kind: StreamKind, stream: WireStream, connection: WireConnection): void {
    const { links, sides, joinGate, isMember, isFormer } = this.#options
    if (kind === 'join') {
      // A member may ask again: the reply to its first join may have been lost.
      if (isMember(connection.host) || joinGate.knows(connection)) void joinGate.serve(stream, connection)
      else stream.abort('no join is open')
      return
    }
    const mayAsk = isMember(connection.host) || (kind === 'link' && isFormer(connection.host))
    if (!mayAsk) stream.abort('no member of this mesh')
    else if (kind === 'link') void links.accept(stream, connection)
    else void sides.accept(kind, stream, connection)
  }
}
