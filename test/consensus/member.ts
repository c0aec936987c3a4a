// One member for directed tests: its core, its disk, and what it was told to apply; everything it wants to send comes back from `drain`.
import { present } from '../../src/base/assert.ts'
import { seededRandom } from '../../src/base/random.ts'
import { decodeConfChange } from '../../src/consensus/conf-codec.ts'
import { DEFAULTS, type RaftConfig } from '../../src/consensus/raft-config.ts'
import { Raft } from '../../src/consensus/raft.ts'
import {
  type ConfState,
  type Entry,
  type HardState,
  type Message,
  type ReadState,
  type SnapshotMeta,
  type StoredLog,
} from '../../src/consensus/types.ts'

export type Kind<K extends Message['kind']> = Message & { readonly kind: K }

export interface MemberOptions {
  readonly id?: number
  readonly voters?: readonly number[]
  readonly learners?: readonly number[]
  readonly term?: number
  readonly vote?: number
  readonly commit?: number
  /** Terms of the entries 1, 2, … of its log. */
  readonly terms?: readonly number[]
  readonly config?: Partial<RaftConfig>
}

/** The paper's Raft: no pre-vote, no quorum check. A test that is about them switches them on. */
const PLAIN: Partial<RaftConfig> = { preVote: false, checkQuorum: false }

/** Far more than any directed test needs: a core that is never done fails here. */
const MAX_READYS = 10_000

export class Member {
  readonly id: number
  readonly raft: Raft
  readonly applied: Entry[] = []
  readonly readStates: ReadState[] = []
  #entries: Entry[]
  #hardState: HardState

  constructor(options: MemberOptions = {}) {
    this.id = options.id ?? 1
    this.#entries = entriesOf(options.terms ?? [])
    this.#hardState = { term: options.term ?? options.terms?.at(-1) ?? 0, vote: options.vote ?? 0, commit: options.commit ?? 0 }
    const random = seededRandom(this.id)
    const config: RaftConfig = {
      ...DEFAULTS,
      ...PLAIN,
      id: this.id,
      random: () => random.float(),
      snapshot: () => undefined,
      conf: confOf(options.voters ?? [1, 2, 3], options.learners),
      ...options.config,
    }
    const stored: StoredLog = { hardState: this.#hardState, snapshot: { index: 0, term: 0, conf: confOf([]) }, entries: this.#entries }
    this.raft = new Raft(config, stored)
  }

  /** What its disk holds. */
  get entries(): readonly Entry[] {
    return this.#entries
  }

  get terms(): number[] {
    return this.#entries.map(({ term }) => term)
  }

  get hardState(): HardState {
    return this.#hardState
  }

  /** Does all work there is, and returns what it wants to send meanwhile. */
  drain(): Message[] {
    const messages: Message[] = []
    for (let round = 0; this.raft.hasReady(); round++) {
      if (round > MAX_READYS) throw new Error(`member ${this.id}: still a Ready after ${MAX_READYS}`)
      const ready = this.raft.ready()
      if (ready.snapshot !== undefined) this.#entries = []
      const first = ready.entries[0]
      const before = this.raft.status().firstIndex
      if (first !== undefined) this.#entries = [...this.#entries.slice(0, Math.max(0, first.index - before)), ...ready.entries]
      this.#hardState = ready.hardState ?? this.#hardState
      for (const entry of ready.committed) {
        this.applied.push(entry)
        if (entry.kind === 'config') this.raft.applyConfChange(decodeConfChange(entry.data))
      }
      this.readStates.push(...ready.readStates)
      messages.push(...ready.messages, ...ready.messagesAfterSync)
      this.raft.advance()
    }
    return messages
  }

  /** Takes messages and returns what it wants to send then. */
  step(...messages: readonly Message[]): Message[] {
    for (const message of messages) this.raft.step(message)
    return this.drain()
  }

  ticks(count: number): Message[] {
    for (let done = 0; done < count; done++) this.raft.tick()
    return this.drain()
  }

  /** Elected by everyone, its empty entry not yet acknowledged by anyone; returns the appends it sent. */
  becomeLeader(): Message[] {
    this.raft.campaign()
    let sent = this.drain()
    for (let round = 0; round < 2 && this.raft.status().role !== 'leader'; round++) {
      const requests = [...ofKind(sent, 'pre-vote'), ...ofKind(sent, 'vote')]
      sent = this.step(...requests.map((request) => voteFor(request)))
    }
    return sent
  }

  /** `from` has everything up to and with `index`. */
  acknowledge(from: number, index: number): Message[] {
    const term = this.raft.status().term
    return this.step({ kind: 'append-response', from, to: this.id, term, index, reject: false, hintIndex: 0, hintTerm: 0 })
  }
}

export function confOf(voters: readonly number[], learners: readonly number[] = []): ConfState {
  return { voters, outgoing: [], learners, learnersNext: [], autoLeave: false }
}

export function entriesOf(terms: readonly number[], first = 1): Entry[] {
  return terms.map((term, offset) => ({ index: first + offset, term, kind: 'normal', data: bytes(`${first + offset}.${term}`) }))
}

export function snapshotAt(index: number, term: number, conf: ConfState): SnapshotMeta {
  return { index, term, conf }
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function textOf(data: Uint8Array): string {
  return new TextDecoder().decode(data)
}

/** The messages of one kind. */
export function ofKind<K extends Message['kind']>(messages: readonly Message[], kind: K): Kind<K>[] {
  return messages.filter((message): message is Kind<K> => message.kind === kind)
}

/** The only message of that kind. */
export function the<K extends Message['kind']>(messages: readonly Message[], kind: K): Kind<K> {
  const found = ofKind(messages, kind)
  if (found.length !== 1)
    throw new Error(`${found.length} messages of kind ${kind} among ${messages.map((message) => message.kind).join(', ')}`)
  return present(found[0], kind)
}

/** A vote (or pre-vote) granted in answer to the request. */
export function voteFor({ from, to, term, kind }: Kind<'vote' | 'pre-vote'>): Message {
  return {
    kind: kind === 'vote' ? 'vote-response' : 'pre-vote-response',
    from: to,
    to: from,
    term,
    reject: false,
    held: 0,
    commit: 0,
    commitTerm: 0,
  }
}

/** A leader's append. */
export function append(options: Partial<Omit<Kind<'append'>, 'kind'>>): Message {
  return { kind: 'append', from: 2, to: 1, term: 1, index: 0, logTerm: 0, entries: [], commit: 0, ...options }
}

/** A candidate's request. */
export function voteRequest(options: Partial<Omit<Kind<'vote'>, 'kind'>> & { readonly kind?: 'vote' | 'pre-vote' }): Message {
  return { kind: 'vote', from: 2, to: 1, term: 1, index: 0, logTerm: 0, force: false, held: 0, commit: 0, commitTerm: 0, ...options }
}

export function heartbeat(options: Partial<Omit<Kind<'heartbeat'>, 'kind'>>): Message {
  return { kind: 'heartbeat', from: 2, to: 1, term: 1, commit: 0, readContext: 0, held: 0, holdings: [], ...options }
}
