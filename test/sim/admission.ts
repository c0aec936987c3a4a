// How a host is let in: a token made through a member, then used by the newcomer. Both may fail in bad weather; whoever wants it in tries again.
import { type Agent } from '../../src/agent.ts'
import { present } from '../../src/base/assert.ts'
import { errorText } from '../../src/base/errors.ts'
import { type RequestKey } from '../../src/base/ids.ts'
import { Administrator } from './administrator.ts'
import { type Life, type SimHost } from './sim-host.ts'
import { type World } from './world.ts'

const TOKEN_MS = 3_600_000
/** One try to join; in a calm world it takes some 100 ms. */
const JOIN_MS = 20_000

/** A token for one use, or why there is none. */
export async function makeToken(
  world: World,
  inviter: SimHost,
  key: string,
): Promise<{ readonly text: string } | { readonly why: string }> {
  const agent = present(inviter.agent, `agent of ${inviter.name}`)
  // By the clock of whoever makes it: wall clocks differ, and jump.
  const expiresAt = Math.round(agent.api.clock.wall()) + TOKEN_MS
  const { id, publicKey, text } = agent.api.createToken('host', expiresAt)
  const outcome = await new Administrator(world).write({
    key: key as RequestKey,
    command: () => ({ kind: 'token-create', id, publicKey, role: 'host', uses: 1, expiresAt }),
    through: [inviter],
  })
  if (outcome.kind !== 'answered') return { why: `no token: ${outcome.code}` }
  return outcome.result.kind === 'done' ? { text } : { why: `no token: ${JSON.stringify(outcome.result)}` }
}

/** Null when it joined, else why not. Always settles: its agent may end, its patience does. */
export async function useToken(world: World, life: Life & { readonly agent: Agent }, token: string): Promise<string | null> {
  const limit = new AbortController()
  const joined = life.agent.api.lifecycle.join({ token, role: null, progress: () => {} }, limit.signal).then(
    () => null,
    (error: unknown) => errorText(error),
  )
  const ended = life.over.promise.then(() => 'its agent ended')
  const patience = new Promise<string>((resolve) => {
    world.clock.after(JOIN_MS, () => resolve(`not joined after ${JOIN_MS} ms`))
  })
  const failure = await Promise.race([joined, ended, patience])
  limit.abort(new Error('given up'))
  return failure
}

/** As it says itself; it may have been sent away since, or not know it yet. */
export function belongs({ agent, id }: SimHost): boolean {
  return agent !== undefined && agent.api.lifecycle.initialised() && agent.api.cluster.view().hosts.has(id)
}

export function hasAgent(life: Life | undefined): life is Life & { readonly agent: Agent } {
  return life?.agent !== undefined
}
