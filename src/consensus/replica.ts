// One member at work: drives the Raft core with messages, ticks and proposals, and does what it hands out, in the order it demands.
import { type Timer } from '../base/clock.ts'
import { emitter } from '../base/emitter.ts'
import { errorText } from '../base/errors.ts'
import { Applier } from './applier.ts'
import { HandOvers } from './hand-overs.ts'
import { Inbox } from './inbox.ts'
import { type Proposed, type ProposeOptions, stopped } from './proposals.ts'
import { DEFAULTS, type RaftConfig } from './raft-config.ts'
import { Raft } from './raft.ts'
import { recover, type Recovered } from './recovery.ts'
import { LIMITS, READ_RETRY_TICKS, type ReplicaLimits, type ReplicaOptions } from './replica-options.ts'
import { Requests } from './requests.ts'
import { type SnapshotMessage } from './snapshot-frames.ts'
import { Snapshots } from './snapshots.ts'
import { feed, SLICE_MS } from './state-feed.ts'
import { campaignDelayMs } from './succession.ts'
import { startTicker, type Ticker } from './ticker.ts'
import {
  type ConfChange,
  type HardState,
  type Message,
  NOBODY,
  type NodeId,
  type Ready,
  type ReplicaStatus as CoreStatus,
  type SnapshotMeta,
  type SnapshotStream,
} from './types.ts'

export interface ReplicaStatus extends CoreStatus {
  /** It leads and has applied an entry of its own term: from now on it may serve reads and take up a leader's duties. */
  readonly leading: boolean
}

export interface Replica {
  status(): ReplicaStatus
  /**
   * Resolves once the entry is applied here. Rejects with an OperationError; surely not done: `unreachable` (data.kind `not-leader`, data.leader
   * to ask), `no-quorum` (data.kind `no-leader`, `transferring`, `busy`, ...), `too-large`, `conflict` (data.kind `stale`: not in options.term;
   * `lost`: overwritten); `timeout` with data.kind `not-done`; with data.kind `unknown` nobody knows.
   */
  propose(data: Uint8Array, options: ProposeOptions): Promise<Proposed>
  /** As propose; also `conflict` with data.kind `pending-change`, `in-joint`, `not-joint` or `invalid-change`. */
  proposeConfChange(change: ConfChange, options: ProposeOptions): Promise<Proposed>
  /** Resolves once everything committed when the call began is applied here. Rejects with `no-quorum` (no leader known) or `timeout`. */
  readIndex(options: { readonly signal: AbortSignal }): Promise<number>
  receive(message: Message): void
  /** Takes a stream that member `from` opened to this one. */
  receiveSnapshot(stream: SnapshotStream, from: NodeId): void
  /** The connection to `id` closed. If it leads, this member forgets it and stands for election, a little later. */
  connectionLost(id: NodeId): void
  /**
   * Resolves once `target` is known to lead. Rejects with `unreachable` (data.kind `not-leader`), `conflict` (data.kind `leads-already`,
   * `no-voter`), `timeout` (data.kind `not-done`: given up after an election time-out, or lost to another; data.leader leads now), or the
   * signal's reason. Proposals are refused meanwhile, `transferring`.
   */
  transferLeadership(target: NodeId, options: { readonly signal: AbortSignal }): Promise<void>
  onStatus(listener: (status: ReplicaStatus) => void): () => void
  /** After every batch of applied entries, and after a received snapshot. */
  onApplied(listener: (index: number) => void): () => void
  /** Ends all waits, writes what is under way, closes the stores. */
  stop(): Promise<void>
}

/** Loads both stores, mends what a crash left between them, and starts. Throws `failed` with data.kind `damaged` for anything that cannot be mended. */
export async function startReplica(options: ReplicaOptions): Promise<Replica> {
  const loader = options.machine.restore()
  const [log, state] = await Promise.all([options.logStore.load(), options.stateStore.load(feed(options.clock, loader))])
  const recovered = recover(log, state)
  const { restart } = recovered
  if (restart !== undefined) {
    options.log.warn({ index: restart.index }, 'a received snapshot had not reached the log: the log starts after it now')
    await options.logStore.write({ entries: [], hardState: recovered.log.hardState, snapshot: restart, sync: true })
  }
  loader.finish(state.meta)
  const replica = new Driver(options, recovered, state.meta)
  replica.start()
  return replica
}

type Command =
  | { readonly kind: 'lost'; readonly node: NodeId }
  | { readonly kind: 'campaign'; readonly term: number }
  | { readonly kind: 'snapshot-received'; readonly message: SnapshotMessage }
  | { readonly kind: 'snapshot-sent'; readonly node: NodeId; readonly ok: boolean }

class Driver implements Replica {
  readonly #options: ReplicaOptions
  readonly #limits: ReplicaLimits
  readonly #raft: Raft
  readonly #applier: Applier
  readonly #requests: Requests
  readonly #inbox: Inbox
  readonly #handOvers = new HandOvers(() => this.#schedule())
  readonly #statusChanged = emitter<ReplicaStatus>()
  readonly #appliedMore = emitter<number>()
  readonly #snapshots: Snapshots
  /** A commit index that is not on disk: a hint that travels with the next group. */
  #unsavedHint: HardState | undefined
  #commands: Command[] = []
  #tickDue = false
  #readTicks = 0
  #ticker: Ticker | undefined
  #campaign: Timer | undefined
  #scheduled = false
  #busy = false
  #driving: Promise<void> | undefined
  #compaction: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #end: 'stopped' | 'failed' | undefined
  #lastStatus: ReplicaStatus

  constructor(options: ReplicaOptions, recovered: Recovered, applied: SnapshotMeta) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#inbox = new Inbox({
      messages: this.#limits.inboxMessages,
      bulky: this.#limits.inboxBulky,
      entriesAtOnce: this.#limits.entriesAtOnce,
    })
    this.#requests = new Requests({
      limits: this.#limits,
      // Random, so that an answer to an earlier life of this member is not taken for one of now.
      firstReadId: Math.floor(options.random.float() * 2 ** 52),
      wake: () => this.#schedule(),
      leader: () => this.#raft.status().leader,
    })
    this.#applier = new Applier({
      clock: options.clock,
      machine: options.machine,
      stateStore: options.stateStore,
      log: recovered.log,
      applied,
      applyConfChange: (change) => this.#raft.applyConfChange(change),
      onEntry: (entry, result) => this.#requests.entryApplied(entry, result),
      onError: (error) => this.#fail(error),
    })
    this.#snapshots = new Snapshots({
      replica: options,
      limits: this.#limits,
      applied: () => this.#applier.meta,
      view: () => this.#applier.view(),
      status: () => this.#raft.status(),
      step: (message) => this.#command({ kind: 'snapshot-received', message }),
      report: (node, ok) => this.#command({ kind: 'snapshot-sent', node, ok }),
      onError: (error) => this.#fail(error),
    })
    const config: RaftConfig = {
      ...DEFAULTS,
      ...options.raft,
      id: options.id,
      random: () => options.random.float(),
      applied: applied.index,
      conf: applied.conf,
      snapshot: (to) => this.#snapshots.offer(to),
    }
    this.#raft = new Raft(config, recovered.log)
    this.#lastStatus = this.status()
  }

  start(): void {
    const { id, clock, tickMs, log } = this.#options
    const { voters, outgoing } = this.#applier.meta.conf
    // Alone, there is nobody whose silence must be waited for.
    if (voters.length === 1 && voters[0] === id && outgoing.length === 0) this.#command({ kind: 'campaign', term: this.#lastStatus.term })
    this.#ticker = startTicker({
      clock,
      tickMs,
      onTick: () => {
        this.#tickDue = true
        this.#schedule()
      },
      onLate: (lateMs) => log.debug({ lateMs }, 'a tick came late and is not counted'),
    })
  }

  status(): ReplicaStatus {
    const status = this.#raft.status()
    return { ...status, leading: status.role === 'leader' && this.#applier.meta.term === status.term }
  }

  propose(data: Uint8Array, options: ProposeOptions): Promise<Proposed> {
    return this.#requests.propose(data, options)
  }

  proposeConfChange(change: ConfChange, options: ProposeOptions): Promise<Proposed> {
    return this.#requests.proposeConfChange(change, options)
  }

  readIndex(options: { readonly signal: AbortSignal }): Promise<number> {
    return this.#requests.read(options.signal)
  }

  receive(message: Message): void {
    // A snapshot without its state is nothing to the core.
    if (this.#end === undefined && message.kind !== 'snapshot' && this.#inbox.push(message)) this.#schedule()
  }

  receiveSnapshot(stream: SnapshotStream, from: NodeId): void {
    this.#snapshots.receive(stream, from)
  }

  connectionLost(id: NodeId): void {
    this.#command({ kind: 'lost', node: id })
  }

  transferLeadership(target: NodeId, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    return this.#end === undefined ? this.#handOvers.ask(target, signal) : Promise.reject(stopped())
  }

  onStatus(listener: (status: ReplicaStatus) => void): () => void {
    return this.#statusChanged.on(listener)
  }

  onApplied(listener: (index: number) => void): () => void {
    return this.#appliedMore.on(listener)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  #command(command: Command): void {
    // Commands that pile up say the same again and again, as connections that close in a loop. Those about snapshots are few and all count.
    const mayBeDropped = command.kind === 'lost' || command.kind === 'campaign'
    if (this.#end !== undefined || (mayBeDropped && this.#commands.length >= this.#limits.inboxMessages)) return
    this.#commands.push(command)
    this.#schedule()
  }

  /** Whatever comes in is only noted; all that came in one turn of the event loop is taken together at its end. */
  #schedule(): void {
    if (this.#scheduled || this.#end !== undefined) return
    this.#scheduled = true
    this.#options.clock.defer(() => {
      this.#scheduled = false
      // While a write is under way there is nothing to begin: the loop takes what came as soon as it is done.
      if (this.#busy || this.#end !== undefined) return
      this.#busy = true
      this.#driving = this.#drive()
    })
  }

  async #drive(): Promise<void> {
    const { clock } = this.#options
    let until = clock.now() + SLICE_MS
    try {
      for (;;) {
        this.#takeInput()
        this.#announce()
        if (this.#raft.hasReady()) {
          await this.#process(this.#raft.ready())
          if (this.#end !== undefined) return
          this.#raft.advance()
          this.#compactLongLog()
        } else {
          this.#snapshots.answered(false)
          if (this.#inbox.isEmpty) return
        }
        // What only has to be applied waits for nothing: without this, a long log would be applied at start in one go.
        if (clock.now() < until) continue
        await new Promise<void>((resolve) => clock.defer(resolve))
        if (this.#end !== undefined) return
        until = clock.now() + SLICE_MS
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#busy = false
    }
  }

  /** Messages first: a tick must not find a leader silent whose heartbeat waits in the inbox. */
  #takeInput(): void {
    for (const message of this.#inbox.take()) this.#raft.step(message)
    const commands = this.#commands
    this.#commands = []
    for (const command of commands) this.#carryOut(command)
    if (this.#tickDue) this.#tick()
    this.#requests.handOver(this.#raft)
    this.#handOvers.handOver(this.#raft)
  }

  #carryOut(command: Command): void {
    switch (command.kind) {
      case 'lost':
        this.#lost(command.node)
        return
      case 'campaign': {
        const { role, term, leader } = this.#raft.status()
        if (role === 'follower' && leader === NOBODY && term === command.term) this.#raft.campaign()
        return
      }
      case 'snapshot-received':
        this.#snapshots.taken()
        this.#raft.step(command.message)
        return
      case 'snapshot-sent':
        this.#raft.reportSnapshot(command.node, command.ok)
        return
    }
  }

  #lost(node: NodeId): void {
    this.#raft.reportUnreachable(node)
    const { role, leader, term } = this.#raft.status()
    if (node !== leader || role === 'leader') return
    this.#raft.forgetLeader()
    const waitMs = campaignDelayMs(this.#applier.meta.conf, this.#options.id, node, this.#options.random)
    if (waitMs === undefined) return
    this.#campaign?.cancel()
    this.#campaign = this.#options.clock.after(waitMs, () => this.#command({ kind: 'campaign', term }))
  }

  #tick(): void {
    this.#tickDue = false
    this.#raft.tick()
    this.#readTicks += 1
    if (this.#readTicks >= READ_RETRY_TICKS) this.#retryReads()
    this.#snapshots.tick()
    const droppedMessages = this.#inbox.takeDropped()
    if (droppedMessages > 0) this.#options.log.warn({ droppedMessages }, 'Raft messages were dropped: more came than could be taken')
  }

  #retryReads(): void {
    this.#readTicks = 0
    this.#requests.retryReads(this.#raft)
  }

  /** The order is the contract of `Ready`: what a message promises is durable before it leaves, what is applied is durable in the log. */
  async #process(ready: Ready): Promise<void> {
    const { snapshot } = ready
    this.#send(ready.messages)
    if (snapshot !== undefined) {
      // The state first: with the log first, a crash in between would leave a state whose next entries are gone. recovery.ts mends this order.
      await this.#compaction
      await this.#applier.install(this.#snapshots.prepared(snapshot))
      this.#requests.skippedTo(snapshot.index, snapshot.term)
    }
    await this.#save(ready)
    if (this.#end !== undefined) return
    this.#snapshots.answered(snapshot !== undefined)
    this.#send(ready.messagesAfterSync)
    this.#applier.apply(ready.committed)
    const applied = this.#applier.meta.index
    this.#requests.serveReads(ready.readStates, applied)
    if (snapshot !== undefined || ready.committed.length > 0) this.#appliedMore.emit(applied)
  }

  #send(messages: readonly Message[]): void {
    const others = this.#snapshots.send(messages)
    if (others.length > 0) this.#options.transport.send(others)
  }

  async #save(ready: Ready): Promise<void> {
    const { entries, snapshot, mustSync } = ready
    const hardState = ready.hardState ?? this.#unsavedHint
    if (entries.length === 0 && snapshot === undefined && !mustSync) {
      this.#unsavedHint = hardState
      return
    }
    this.#unsavedHint = undefined
    await this.#options.logStore.write({ entries, hardState, snapshot, sync: mustSync })
  }

  #compactLongLog(): void {
    const { compactAbove, keepEntries } = this.#limits
    const { index } = this.#applier.meta
    const { firstIndex } = this.#raft.status()
    if (this.#compaction !== undefined || index - firstIndex + 1 <= compactAbove) return
    const cut = this.#snapshots.cutIndex(index - keepEntries)
    // A pin that moves on slowly must not make a cut of every few entries.
    if (cut - firstIndex + 1 <= compactAbove - keepEntries) return
    this.#compaction = this.#compact(cut)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#compaction = undefined
      })
  }

  /** Entries go only when the state that came of them is durable. Overlaps writes of the log, but never a restore. */
  async #compact(index: number): Promise<void> {
    const meta = await this.#applier.cutPoint(index)
    if (meta === undefined) return
    await this.#options.logStore.compact(meta)
    this.#applier.logWasCut(meta)
    this.#raft.compacted(meta)
  }

  #announce(): void {
    this.#handOvers.settle(this.#raft)
    const last = this.#lastStatus
    const now = this.status()
    this.#lastStatus = now
    if (now.leader !== last.leader && now.leader !== NOBODY) this.#retryReads()
    const same =
      now.role === last.role &&
      now.term === last.term &&
      now.leader === last.leader &&
      now.conf === last.conf &&
      now.appliedIndex === last.appliedIndex &&
      now.leading === last.leading
    if (!same) this.#statusChanged.emit(now)
  }

  #fail(error: unknown): void {
    if (this.#end !== undefined) return
    this.#options.log.error({ id: this.#options.id, error }, `this member takes no part any more: ${errorText(error)}`)
    this.#finish('failed', error)
    this.#options.onFatal(error)
  }

  #finish(end: 'stopped' | 'failed', cause?: unknown): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#ticker?.stop()
    this.#campaign?.cancel()
    this.#requests.close(`the member has ${end}`, cause)
    this.#snapshots.end()
    this.#handOvers.close(cause)
  }

  async #stop(): Promise<void> {
    this.#finish('stopped')
    await this.#driving
    await this.#compaction
    await this.#snapshots.stop()
    await this.#applier.flush()
    const hint = this.#unsavedHint
    if (hint !== undefined && this.#end === 'stopped') {
      await this.#options.logStore.write({ entries: [], hardState: hint, snapshot: undefined, sync: false })
    }
    await this.#options.logStore.close()
    await this.#options.stateStore.close()
  }
}
