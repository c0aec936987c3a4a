// Both sides of snapshots as the replica sees them: what to send instead of a message, what was received, how far the log may be cut.
import { assert } from '../base/assert.ts'
import { type ReplicaLimits, type ReplicaOptions } from './replica-options.ts'
import { type DeliveryOutcome, type PreparedSnapshot, SnapshotReceiver } from './snapshot-receiver.ts'
import { type SnapshotMessage } from './snapshot-frames.ts'
import { SnapshotSender } from './snapshot-sender.ts'
import { type Message, type NodeId, type ReplicaStatus, type SnapshotMeta, type SnapshotStream, type StateView } from './types.ts'

export interface SnapshotsOptions {
  readonly replica: ReplicaOptions
  readonly limits: ReplicaLimits
  readonly applied: () => SnapshotMeta
  readonly view: () => Promise<StateView>
  readonly status: () => ReplicaStatus
  /** Both must reach the core, or what waits for them waits for ever. */
  readonly step: (message: SnapshotMessage) => void
  readonly report: (to: NodeId, ok: boolean) => void
  readonly onError: (error: unknown) => void
}

interface Delivery {
  readonly prepared: PreparedSnapshot | undefined
  /** The core has it. What is answered before is about something else: a write may have been under way when it came. */
  isTaken: boolean
  resolve(outcome: DeliveryOutcome): void
}

export class Snapshots {
  readonly #options: SnapshotsOptions
  readonly #sender: SnapshotSender
  readonly #receiver: SnapshotReceiver
  /** A message that was given to the core, or is about to be: the receiver brings one at a time. */
  #delivery: Delivery | undefined
  #ended = false

  constructor(options: SnapshotsOptions) {
    this.#options = options
    const { replica, limits, onError } = options
    this.#sender = new SnapshotSender({ ...replica, limits, applied: options.applied, view: options.view, report: options.report, onError })
    this.#receiver = new SnapshotReceiver({
      ...replica,
      status: options.status,
      deliver: (message, prepared) => this.#deliver(message, prepared),
      onError,
    })
  }

  /** For the core: what can be sent to `to` now. */
  offer(to: NodeId): SnapshotMeta | undefined {
    return this.#ended ? undefined : this.#sender.offer(to)
  }

  /** Sends the snapshots among `messages`; the others are returned. */
  send(messages: readonly Message[]): readonly Message[] {
    if (!messages.some(({ kind }) => kind === 'snapshot')) return messages
    for (const message of messages) if (message.kind === 'snapshot') this.#sender.send(message)
    return messages.filter(({ kind }) => kind !== 'snapshot')
  }

  receive(stream: SnapshotStream, from: NodeId): void {
    this.#receiver.receive(stream, from)
  }

  tick(): void {
    if (this.#sender.isIdle) return
    const { role, progress } = this.#options.status()
    if (role === 'leader') this.#sender.tick(progress)
    else this.#sender.dropAll()
  }

  /** How far the log may be cut, at most to `wanted`. A follower that needs more than `applied - pinnedEntries` is given up. */
  cutIndex(wanted: number): number {
    this.#sender.unpin(this.#options.applied().index - this.#options.limits.pinnedEntries)
    return Math.min(wanted, this.#sender.pinned)
  }

  /** The state that belongs to what the core accepted. */
  prepared(meta: SnapshotMeta): PreparedSnapshot {
    const prepared = this.#delivery?.prepared
    assert(prepared?.meta === meta, `snapshot at ${meta.index}: the core accepted what was not received`)
    return prepared
  }

  /** The message that was delivered goes into the core now. */
  taken(): void {
    if (this.#delivery !== undefined) this.#delivery.isTaken = true
  }

  /** All that the core had taken is done: what was delivered is installed, or not wanted. */
  answered(isInstalled: boolean): void {
    if (this.#delivery?.isTaken === true) this.#resolve(isInstalled ? 'installed' : 'unwanted')
  }

  /** The core takes no more messages. Whether an installation that is under way comes to its end is not known. */
  end(): void {
    this.#ended = true
    this.#resolve('ended')
  }

  /** Resolves when no stream, view or disk is in use any more. */
  async stop(): Promise<void> {
    this.end()
    await Promise.all([this.#sender.stop(), this.#receiver.stop()])
  }

  #resolve(outcome: DeliveryOutcome): void {
    this.#delivery?.resolve(outcome)
    this.#delivery = undefined
  }

  #deliver(message: SnapshotMessage, prepared: PreparedSnapshot | undefined): Promise<DeliveryOutcome> {
    if (this.#ended) return Promise.resolve('ended')
    return new Promise((resolve) => {
      this.#delivery = { prepared, isTaken: false, resolve }
      this.#options.step(message)
    })
  }
}
