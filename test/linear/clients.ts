// Clients that use a group as a register per key, and write down what they asked and heard: the history to be judged.
import { between, type Random } from '../../src/base/random.ts'
import { pause } from '../lab/wait-for.ts'
import { type Connection, type Group, type Heard, membersOf } from './group.ts'
import { type RegisterInput, type RegisterOperation, type Value } from './register.ts'

export interface ClientsOptions {
  readonly random: Random
  readonly group: Group
  readonly clients: number
}

export interface Counts {
  ok: number
  /** Surely not done, so not in the history. */
  failed: number
  unknown: number
}

/** A member that cannot be reached or does not lead is left alone for a moment; without this, a group without a leader would be flooded. */
const REFUSED_PAUSE_MS = 20
/** Keys in use at a time, and operations until each gives way to a new one: short histories are cheap to judge, few keys make clients meet. */
const KEYS = 4
const KEY_OPERATIONS = 600

export class Clients {
  readonly counts: Counts = { ok: 0, failed: 0, unknown: 0 }
  readonly history: RegisterOperation[] = []
  readonly #options: ClientsOptions
  readonly #stopped = new AbortController()
  readonly #running: Promise<void>[]
  #operations = 0
  #values = 0
  /** Where the last accepted write went: most writes go there first. */
  #leader = 0
  readonly #lastSeen = new Map<string, Value>()

  constructor(options: ClientsOptions) {
    this.#options = options
    this.#running = Array.from({ length: options.clients }, (_, at) => this.#run(at + 1))
  }

  /** After each has heard, or given up on, what it asked last. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await Promise.all(this.#running)
  }

  /** Reads every key through every member, once all are well: what was acknowledged must be there. Rejects where a read fails all the time. */
  async readAll(): Promise<void> {
    const keys = new Set(this.history.map(({ input }) => input.key))
    const { group } = this.#options
    for (const member of membersOf(group)) {
      const line = new Line(group, member, group.use.patienceMs[0])
      for (const key of keys) {
        for (let tries = 0; !(await this.#ask(line, -member, { kind: 'read', key })); tries += 1) {
          if (tries === 200) throw new Error(`no read through member ${member} although everything is well again`)
          await pause(50)
        }
      }
      line.close()
    }
  }

  async #run(client: number): Promise<void> {
    const { random, group } = this.#options
    const patienceMs = group.use.patienceMs[Math.floor(client / 2) % 2] ?? 0
    const lines = membersOf(group).map((member) => new Line(group, member, patienceMs))
    // Every other client is a reader that stays where it is answered: at a leader that others have left too.
    const reader = client % 2 === 0
    let home = client % lines.length
    while (!this.#stopped.signal.aborted) {
      const input = this.#nextInput(client, reader ? 0.9 : 0.3)
      const elsewhere = random.float() < 0.1 ? between(random, 0, lines.length - 1) : undefined
      const at = elsewhere ?? (input.kind === 'read' ? home : this.#leader)
      const line = lines[at]
      if (line === undefined) return
      const done = await this.#ask(line, client, input)
      if (done && input.kind !== 'read') this.#leader = at
      if (done) continue
      if (input.kind === 'read') home = between(random, 0, lines.length - 1)
      else if (at === this.#leader) this.#leader = (at + 1) % lines.length
      await pause(REFUSED_PAUSE_MS)
    }
    for (const line of lines) line.close()
  }

  /** False: surely not done, or nobody knows. */
  async #ask(line: Line, client: number, input: RegisterInput): Promise<boolean> {
    const calledAt = performance.now()
    const heard = await line.ask(input)
    const at = performance.now()
    if (heard.kind === 'refused') {
      this.counts.failed += 1
      return false
    }
    const output = heard.kind === 'answered' ? heard.output : undefined
    this.counts[output === undefined ? 'unknown' : 'ok'] += 1
    if (output?.kind === 'value') this.#lastSeen.set(input.key, output.value)
    if (output?.kind === 'differed' && output.found !== undefined) this.#lastSeen.set(input.key, output.found)
    this.history.push({ client, input, calledAt, answer: output === undefined ? undefined : { at, output } })
    return output !== undefined
  }

  #nextInput(client: number, reads: number): RegisterInput {
    const { random, group } = this.#options
    const lane = between(random, 0, KEYS - 1)
    const key = `k${lane}-${Math.floor(this.#operations / (KEYS * KEY_OPERATIONS))}`
    this.#operations += 1
    if (random.float() < reads) return { kind: 'read', key }
    this.#values += 1
    const value = `${client}:${this.#values}`
    return !group.use.cas || random.float() < 0.6
      ? { kind: 'write', key, value }
      : { kind: 'cas', key, expected: this.#lastSeen.get(key) ?? null, value }
  }
}

/** One client's way to one member: connected when it is needed, and anew after it broke. */
class Line {
  readonly #group: Group
  readonly #member: number
  readonly #patienceMs: number
  #connection: Connection | undefined

  constructor(group: Group, member: number, patienceMs: number) {
    this.#group = group
    this.#member = member
    this.#patienceMs = patienceMs
  }

  async ask(input: RegisterInput): Promise<Heard> {
    if (this.#connection?.isOpen !== true) {
      this.#connection = await this.#group.connect(this.#member, this.#patienceMs).catch(() => undefined)
    }
    return this.#connection?.ask(input) ?? { kind: 'refused' }
  }

  close(): void {
    this.#connection?.close()
  }
}
