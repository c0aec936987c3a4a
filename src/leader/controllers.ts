// Starts the controllers when this host wins the leadership and stops them when it loses it. Nothing of one term reaches the next.
import { type Clock } from '../base/clock.ts'
import { errorText } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { startLoop, type Loop } from '../base/loop.ts'
import { type Cluster } from '../inventory/cluster.ts'
import { type LeaderCommand, type MemberCommand } from '../inventory/command.ts'
import { type Load } from '../inventory/load.ts'

/** Controllers look at least this often; changes of the inventory wake them at once. */
const LOOK_EVERY_MS = 1_000

/** How a host is connected with this one. */
export interface Contact {
  /** Since when without a break; null while it is down. */
  readonly upMs: number | null
  /** Since a byte came from it; null if none ever did. */
  readonly silentMs: number | null
}

/** What a controller sees, and its only way to act: a proposal that counts in this term or not at all. */
export interface Duty {
  readonly self: HostId
  readonly term: number
  readonly clock: Clock
  readonly log: Log
  readonly cluster: Cluster
  /** What this host's detector says of the others; a hint for placement, never a proof of death. */
  liveness(): ReadonlyMap<HostId, 'up' | 'suspect'>
  load(): Load
  /** The links of this host to the others. */
  contacts(): ReadonlyMap<HostId, Contact>
  propose(command: LeaderDecision, signal: AbortSignal): Promise<void>
  /** Hands leadership to another host: whoever leads then has controllers of its own. Rejects as the port does. */
  handOver(to: HostId, why: string, signal: AbortSignal): Promise<void>
}

/** A controller's command without the term, which the duty adds. */
export type LeaderDecision = WithoutTerm<LeaderCommand> | WithoutTerm<Extract<MemberCommand, { kind: 'voters-change' }>>
type WithoutTerm<T> = T extends unknown ? Omit<T, 'leaderTerm'> : never

/** One look at the mesh and what follows from it. Called again and again while this host leads; state between calls is the controller's own. */
export type Controller = (duty: Duty, signal: AbortSignal) => Promise<void>

export interface ControllersOptions extends Pick<Duty, 'self' | 'clock' | 'log' | 'cluster' | 'liveness' | 'load' | 'contacts'> {
  /** Made anew for every term. */
  readonly controllers: readonly (() => { readonly name: string; readonly run: Controller })[]
}

export interface Controllers {
  stop(): Promise<void>
}

export function startControllers(options: ControllersOptions): Controllers {
  const { cluster, clock, log } = options
  let loops: readonly Loop[] = []

  const lead = (term: number): void => {
    log.info({ term }, 'leading: controllers start')
    const duty: Duty = {
      ...options,
      term,
      async propose(decision, signal) {
        const result = await cluster.proposeAsLeader({ ...decision, leaderTerm: term }, signal)
        if (result.kind !== 'done') log.warn({ decision, result }, `${decision.kind} came to nothing`)
      },
      handOver(to, why, signal) {
        const name = cluster.view().hosts.get(options.self)?.name ?? options.self
        return cluster.handOver({ to, why, actor: `leader ${name}`, reason: null, dryRun: false }, signal)
      },
    }
    loops = options.controllers.map((make) => {
      const controller = make()
      return startLoop({
        clock,
        everyMs: LOOK_EVERY_MS,
        run: (signal) => controller.run(duty, signal),
        onError: (error) => log.warn({ controller: controller.name, error: errorText(error) }, 'controller failed, to be tried again'),
      })
    })
  }
  // Of all terms: a run of an earlier one may still be under way when everything stops.
  let ended: Promise<unknown> = Promise.resolve()
  const rest = (): Promise<unknown> => {
    ended = Promise.all([ended, ...loops.map((loop) => loop.stop())])
    loops = []
    return ended
  }
  const wake = (): void => {
    for (const loop of loops) loop.wake()
  }
  const offs = [
    cluster.onLeading((term) => {
      void rest()
      if (term !== null) lead(term)
      else log.info({}, 'not leading: controllers stop')
    }),
    cluster.onChange(wake),
    cluster.onMembers(wake),
  ]
  return {
    async stop() {
      for (const off of offs) off()
      await rest()
    },
  }
}
