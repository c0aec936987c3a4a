// Makes this host match the inventory: observe, reconcile, carry out, again at every change. One loop; at most one action an object.
import { deadline } from '../base/deadline.ts'
import { errorText } from '../base/errors.ts'
import { type VmId } from '../base/ids.ts'
import { startLoop, type Loop } from '../base/loop.ts'
import { settingNumber } from '../inventory/settings.ts'
import { carryOut, type Hands } from './carry-out.ts'
import { reconcile, type Action, type AskedShutdown } from './reconcile.ts'

/** Without a hint the host still looks this often: a lost hint costs one period, never a VM. */
const LOOK_EVERY_MS = 2_000
/** After a failed action its object is left alone this long. */
const RETRY_MS = 500
/** Longer than any single action may take (qemu-img on a slow disk); a stuck one must not hold its object for ever. */
const ACTION_LIMIT_MS = 120_000

export type HostOptions = Omit<Hands, 'asked'>

export interface HostAgent {
  /** Ends the loop and waits for actions under way (their waits are aborted); guests live on. */
  stop(): Promise<void>
}

export function startHost(options: HostOptions): HostAgent {
  const hands: Hands = { ...options, asked: new Map<VmId, AskedShutdown>() }
  const { clock, cluster, driver, log } = options
  const stopping = new AbortController()
  const underWay = new Map<string, Promise<void>>()
  let adopted = false

  const begin = (action: Action): void => {
    const key = objectOf(action)
    if (underWay.has(key)) return
    const done = attempt(hands, action, stopping.signal).then((mended) => {
      // The object stays taken during the pause, so that a failing action is not tried in a circle without rest.
      const release = (): void => {
        underWay.delete(key)
        loop.wake()
      }
      if (mended || stopping.signal.aborted) release()
      else clock.after(RETRY_MS, release)
    })
    underWay.set(key, done)
  }

  const loop: Loop = startLoop({
    clock,
    everyMs: LOOK_EVERY_MS,
    onError: (error) => log.warn({ error: errorText(error) }, 'this host could not be observed'),
    run: async () => {
      const runs = await driver.list()
      // Once per agent: what ran before it started is in its hands from here on.
      if (!adopted) log.info({ guests: runs.filter(({ kind }) => kind === 'live').length }, 'the guests of this host are adopted')
      adopted = true
      const inventory = cluster.view()
      const shutdownTimeoutMs = settingNumber(inventory, 'vm.shutdown-timeout-s') * 1000
      const view = { self: hands.self, inventory, runs, asked: hands.asked, nowMs: clock.now(), shutdownTimeoutMs }
      for (const action of reconcile(view)) begin(action)
    },
  })
  const offs = [cluster.onChange(() => loop.wake()), driver.onChange(() => loop.wake())]
  return {
    async stop() {
      for (const off of offs) off()
      stopping.abort(new Error('the agent stops'))
      await loop.stop()
      await Promise.all(underWay.values())
    },
  }
}

/** True when done, false when it failed and needs a pause. Never rejects. */
async function attempt(hands: Hands, action: Action, stopping: AbortSignal): Promise<boolean> {
  const limit = deadline(hands.clock, ACTION_LIMIT_MS, action.kind, stopping)
  try {
    hands.log.debug({ action }, action.kind)
    await carryOut(hands, action, limit.signal)
    return true
  } catch (error) {
    if (!stopping.aborted) hands.log.warn({ action, error: errorText(error) }, `${action.kind} failed, to be decided again`)
    return false
  } finally {
    limit.done()
  }
}

function objectOf(action: Action): string {
  return 'disk' in action ? `disk ${action.disk}` : `vm ${action.vm}`
}
