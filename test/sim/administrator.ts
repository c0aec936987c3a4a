// A person at the keyboard of some host: asks, waits, asks again under the same key, and remembers what was answered.
import { OperationError, errorText, hasCode } from '../../src/base/errors.ts'
import { type RequestKey } from '../../src/base/ids.ts'
import { between } from '../../src/base/random.ts'
import { type AdminCommand } from '../../src/inventory/command.ts'
import { type CommandResult } from '../../src/inventory/model.ts'
import { type Agent } from '../../src/agent.ts'
import { type Outcome } from './request-watch.ts'
import { type Life, type SimHost } from './sim-host.ts'
import { type World } from './world.ts'

/** As api/write.ts has it at most; a person or a script may hang up long before. */
const PATIENCE_MS: readonly [number, number] = [200, 10_000]
/** A client gives an agent that says nothing at all (frozen) so much longer. */
const LONGER_MS = 1_000
/** Between two tries under one key. */
const AGAIN_MS = 300

/** What a person can act on who wants another leader. */
const NOT_HANDED_OVER = ['refused', 'no-quorum', 'timeout', 'unreachable', 'conflict', 'not-found'] as const

export interface Wish {
  readonly key: RequestKey
  /** Made anew for each try: the host that takes a request chooses the ids. */
  readonly command: (host: SimHost) => AdminCommand
  /** One try through each of these, until one answers. */
  readonly through: readonly SimHost[]
}

export class Administrator {
  readonly #world: World
  readonly #hurried: boolean

  /** `hurried`: with any patience, also none to speak of. */
  constructor(world: World, hurried = false) {
    this.#world = world
    this.#hurried = hurried
  }

  /** Never rejects; what came of it is in the books of the world's checks too. */
  async write({ key, command, through }: Wish): Promise<Outcome> {
    const { requestWatch, trace } = this.#world
    let last: Outcome = { kind: 'not-done', code: 'unreachable' }
    let uncertain = false
    for (const [tries, host] of through.entries()) {
      if (tries > 0) await this.#wait(AGAIN_MS)
      const wish = command(host)
      trace.note(host.name, 'asked', tries, () => `${key}: ${JSON.stringify(wish)}`)
      last = await this.#try(host, wish, key)
      trace.note(host.name, last.kind, tries, () => `${key}: ${JSON.stringify(last)}`)
      if (last.kind === 'answered') {
        requestWatch.heard(key, last, host.agent?.api.cluster.view())
        return last
      }
      uncertain ||= last.kind === 'unknown'
    }
    const outcome: Outcome = uncertain ? { ...last, kind: 'unknown' } : last
    requestWatch.heard(key, outcome, undefined)
    return outcome
  }

  /** A read that must not be stale. True when it was answered. */
  async read(host: SimHost): Promise<boolean> {
    const { requestWatch } = this.#world
    const from = requestWatch.highestAnswered
    const answer = await this.#ask(host, (agent, signal) => agent.api.cluster.read(signal))
    if (answer.kind !== 'value') return false
    requestWatch.read(host.name, from, answer.value)
    return true
  }

  /** Asks for another leader through `host`. True when that was done, not only perhaps. */
  async handOver(host: SimHost, to: SimHost): Promise<boolean> {
    const wish = { to: to.id, why: 'a person asked for it', actor: `admin@${host.name}`, reason: null, dryRun: false }
    this.#world.trace.note(host.name, 'asked to hand over', 0, () => to.name)
    const answer = await this.#ask(host, (agent, signal) => agent.api.cluster.handOver(wish, signal))
    if (answer.kind === 'error' && !hasCode(answer.error, ...NOT_HANDED_OVER))
      this.#world.faults.report(`${to.name} was asked to lead through ${host.name}, which failed with ${errorText(answer.error)}`)
    return answer.kind === 'value'
  }

  async #try(host: SimHost, command: AdminCommand, key: RequestKey): Promise<Outcome> {
    const options = { actor: `admin@${host.name}`, requestKey: key }
    const answer = await this.#ask<CommandResult>(host, (agent, signal) => agent.api.cluster.propose(command, { ...options, signal }))
    switch (answer.kind) {
      case 'value':
        return { kind: 'answered', result: answer.value }
      case 'unasked':
        return { kind: 'not-done', code: 'unreachable' }
      case 'silence':
        return { kind: 'unknown', code: 'silence' }
      case 'error':
        if (hasCode(answer.error, 'no-quorum')) return { kind: 'not-done', code: 'no-quorum' }
        if (hasCode(answer.error, 'timeout')) return { kind: 'unknown', code: 'timeout' }
        // A host whose vote the mesh cannot spare now is asked to leave later.
        if (hasCode(answer.error, 'conflict') && answer.error.data['kind'] === 'vote-needed')
          return { kind: 'not-done', code: 'vote-needed' }
        this.#world.faults.report(`${command.kind} through ${host.name} failed with what no person can act on: ${errorText(answer.error)}`)
        return { kind: 'unknown', code: 'failed' }
    }
  }

  /** As the agent's API does it: with a deadline of its own; the person's patience ends a little later, or when the agent dies. */
  #ask<T>(host: SimHost, call: (agent: Agent, signal: AbortSignal) => Promise<T>): Promise<Answer<T>> {
    const { life } = host
    const agent = life?.agent
    if (life === undefined || agent === undefined || !agent.api.lifecycle.initialised()) return Promise.resolve({ kind: 'unasked' })
    const limit = new AbortController()
    const patienceMs = this.#hurried ? between(this.#world.random, ...PATIENCE_MS) : PATIENCE_MS[1]
    const timer = life.clock.after(patienceMs, () => limit.abort(new OperationError('timeout', `no outcome after ${patienceMs} ms`)))
    // By its turn the host may have been removed, or be about to become another member: then nothing was asked.
    const inTurn = async (): Promise<Answer<T>> =>
      agent.api.lifecycle.initialised() ? { kind: 'value', value: await call(agent, limit.signal) } : { kind: 'unasked' }
    const asked = this.#inItsTurn(life, inTurn).catch((error: unknown): Answer<T> => ({ kind: 'error', error }))
    const over = life.over.promise.then((): Answer<T> => ({ kind: 'silence' }))
    const patience = this.#wait(patienceMs + LONGER_MS).then((): Answer<T> => ({ kind: 'silence' }))
    return Promise.race([asked, over, patience]).finally(() => timer.cancel())
  }

  /** A frozen agent takes the request when it thaws. */
  #inItsTurn<T>(life: Life, call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      life.clock.defer(() => void call().then(resolve, reject))
    })
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#world.clock.after(ms, resolve)
    })
  }
}

type Answer<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'error'; readonly error: unknown }
  /** It was never asked. */
  | { readonly kind: 'unasked' }
  | { readonly kind: 'silence' }
