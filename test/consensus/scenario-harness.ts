// Replays one reference scenario: owns the message queue, a state machine per node, and the history of its snapshots.
import { present } from '../../src/base/assert.ts'
import { type ConfState } from '../../src/consensus/types.ts'
import {
  makeNode,
  type ScenarioChange,
  type ScenarioConfig,
  type ScenarioMessage,
  type ScenarioNode,
  type ScenarioSnapshot,
} from './scenario-adapter.ts'

/** As in the scenario files; `Args` holds `[value]` or `[key, ...values]`. */
export interface ScenarioStep {
  readonly Cmd: string
  readonly Input: string
  readonly Args: readonly (readonly string[])[] | null
  readonly Nodes: readonly Record<string, unknown>[] | null
  readonly InFlight: Readonly<Record<string, number>>
}

interface Member {
  readonly id: number
  readonly node: ScenarioNode
  readonly history: ScenarioSnapshot[]
}

/** Deliveries and Readys that `stabilize` runs before it gives up: the longest scenario needs 30 rounds. */
const MAX_ROUNDS = 1000

/** Directives of etcd's asynchronous storage writes. */
const UNKNOWN = ['process-append-thread', 'process-apply-thread']

const EMPTY_CONF: ConfState = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false }

export class ScenarioHarness {
  readonly #thrifty: boolean
  readonly #members: Member[] = []
  #messages: ScenarioMessage[] = []

  constructor(options: { readonly thrifty: boolean }) {
    this.#thrifty = options.thrifty
  }

  knows(step: ScenarioStep): boolean {
    return !UNKNOWN.includes(step.Cmd)
  }

  run(step: ScenarioStep): void {
    const args = new Args(step.Args ?? [])
    switch (step.Cmd) {
      case 'add-nodes':
        return this.#addNodes(args)
      case 'campaign':
        return this.#member(args.id()).node.campaign()
      case 'propose':
        return void this.#member(args.id()).node.propose(args.plain[1] ?? '')
      case 'propose-conf-change':
        return void this.#member(args.id()).node.proposeConf(parseChange(args, step.Input))
      case 'transfer-leadership':
        return this.#member(args.number('from')).node.transfer(args.number('to'))
      case 'forget-leader':
        return this.#member(args.id()).node.forgetLeader()
      case 'report-unreachable':
        return this.#member(args.id()).node.reportUnreachable(Number(args.plain[1]))
      case 'compact':
        return this.#member(args.id()).node.compact(Number(args.plain[1]))
      case 'send-snapshot':
        return void this.#messages.push(this.#member(args.id()).node.snapshotMsg(Number(args.plain[1])))
      case 'set-randomized-election-timeout':
        return this.#member(args.id()).node.setTimeout(args.number('timeout'))
      case 'tick-heartbeat':
        return this.#tick(args.id(), 1)
      case 'tick-election':
        return this.#tick(args.id(), 3)
      case 'process-ready':
        return args.ids().forEach((id) => this.#processReady(this.#member(id)))
      case 'deliver-msgs':
        return this.#deliverTo(args)
      case 'stabilize':
        return this.#stabilize(args.ids().length > 0 ? args.ids().map((id) => this.#member(id)) : this.#members)
      case 'log-level':
      case 'raft-log':
      case 'raft-state':
      case 'status':
        return
      default:
        throw new Error(`scenario: unknown directive ${step.Cmd}`)
    }
  }

  /** In the form of the files. */
  nodes(): Record<string, unknown>[] {
    return this.#members.map(({ node, history }) => ({ ...node.status(), SM: latest(history).data }))
  }

  inFlight(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { from, to, type } of this.#messages) counts[`${from}->${to} ${type}`] = (counts[`${from}->${to} ${type}`] ?? 0) + 1
    return counts
  }

  #addNodes(args: Args): void {
    const conf = { ...EMPTY_CONF, voters: args.numbers('voters'), learners: args.numbers('learners') }
    const index = args.has('index') ? args.number('index') : 0
    const start: ScenarioSnapshot = { index, term: index > 0 ? 1 : 0, data: args.text('content') ?? '', conf }
    for (let count = Number(args.plain[0]); count > 0; count--) {
      const config: ScenarioConfig = {
        id: this.#members.length + 1,
        electionTick: 3,
        heartbeatTick: 1,
        applied: index,
        async: args.text('async-storage-writes') === 'true',
        preVote: args.text('prevote') === 'true',
        checkQuorum: args.text('checkquorum') === 'true',
        ...(args.has('inflight') ? { inflight: args.number('inflight') } : {}),
        ...(args.has('max-committed-size-per-ready') ? { maxCommitted: args.number('max-committed-size-per-ready') } : {}),
        noValidation: args.text('disable-conf-change-validation') === 'true',
        stepDown: args.text('step-down-on-removal') === 'true',
        lease: args.text('read-only') === 'lease-based',
        thrifty: this.#thrifty,
      }
      const history = [start]
      const node = makeNode(config, index > 0 ? start : null, () => latest(history))
      this.#members.push({ id: config.id, node, history })
    }
  }

  #tick(id: number, times: number): void {
    for (let count = 0; count < times; count++) this.#member(id).node.tick()
  }

  #processReady({ node, history }: Member): void {
    const ready = node.ready()
    node.persist(ready)
    for (const entry of ready.committed) {
      const before = latest(history)
      const conf = entry.type === 0 ? before.conf : node.applyConfChange(entry)
      history.push({ index: entry.index, term: entry.term, data: before.data + entry.data, conf })
    }
    this.#messages.push(...ready.messages)
    node.advance()
  }

  #deliverTo(args: Args): void {
    const type = args.text('type')
    for (const [key, ...values] of args.all) {
      if (key === 'drop') for (const value of values) this.#deliver(Number(value), { drop: true, type })
      else if (values.length === 0) this.#deliver(Number(key), { drop: false, type })
    }
  }

  /** True if there was something. */
  #deliver(to: number, { drop, type }: { drop: boolean; type: string | undefined }): boolean {
    const chosen = this.#messages.filter((message) => message.to === to && (type === undefined || message.type === type))
    this.#messages = this.#messages.filter((message) => !chosen.includes(message))
    if (!drop) for (const message of chosen) this.#member(to).node.step(message)
    return chosen.length > 0
  }

  #stabilize(members: readonly Member[]): void {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      let done = true
      for (const member of members) {
        if (!member.node.hasReady()) continue
        this.#processReady(member)
        done = false
      }
      for (const { id } of members) if (this.#deliver(id, { drop: false, type: undefined })) done = false
      if (done) return
    }
    throw new Error(`scenario: not stable after ${MAX_ROUNDS} rounds`)
  }

  #member(id: number): Member {
    return present(this.#members[id - 1], `node ${id}`)
  }
}

class Args {
  readonly all: readonly (readonly string[])[]

  constructor(all: readonly (readonly string[])[]) {
    this.all = all
  }

  get plain(): string[] {
    return this.all.flatMap((arg) => (arg.length === 1 ? arg : []))
  }

  /** The first plain argument, a node. */
  id(): number {
    return Number(this.plain[0])
  }

  ids(): number[] {
    return this.plain.map(Number)
  }

  has(key: string): boolean {
    return this.all.some(([name]) => name === key)
  }

  text(key: string): string | undefined {
    return this.all.find(([name]) => name === key)?.[1]
  }

  number(key: string): number {
    return Number(present(this.text(key), `argument ${key}`))
  }

  numbers(key: string): number[] {
    return (this.all.find(([name]) => name === key) ?? []).slice(1).map(Number)
  }
}

function parseChange(args: Args, input: string): ScenarioChange {
  const transition = args.text('transition') ?? 'auto'
  if (transition !== 'auto' && transition !== 'implicit' && transition !== 'explicit') throw new Error(`scenario: transition ${transition}`)
  const changes = input.split(/\s+/).filter((word) => word !== '')
  return { v1: args.text('v1') === 'true', transition, changes: changes.map(parseStep) }
}

function parseStep(word: string): ScenarioChange['changes'][number] {
  const type = word[0]
  if (type !== 'v' && type !== 'l' && type !== 'r' && type !== 'u') throw new Error(`scenario: configuration change ${word}`)
  return { type, node: Number(word.slice(1)) }
}

function latest(history: readonly ScenarioSnapshot[]): ScenarioSnapshot {
  return present(history.at(-1), 'snapshot in the history')
}
