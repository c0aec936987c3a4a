// How hosts come to a mesh and leave it: fast, without asking for any name, again after a crash, and not without a good token.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer } from '../../src/api/contract.ts'
import { realRandom } from '../../src/base/random.ts'
import { type MeshId } from '../../src/base/ids.ts'
import { createToken, encodeToken, type JoinToken, parseToken } from '../../src/mesh/token.ts'
import { labUnavailable, startLab } from '../lab/lab.ts'
import { statusOf } from '../lab/look.ts'
import { HOSTMESH, meshLab, type MeshHost, type MeshLab, newToken } from '../lab/mesh-lab.ts'
import { lookupsIn, resolverSettingsRead, traced, tracedBeside } from '../lab/name-lookups.ts'
import { waitFor } from '../lab/wait-for.ts'

const unavailable = labUnavailable()
type Hosts = Answer<'hostList'>

// A resolver that answers nothing takes 10 s for a name (two tries of 5 s, resolv.conf(5)); alone on a machine the figures of
// bench/join.ts hold, which are a tenth of these.
const INIT_LIMIT_MS = 5_000
const JOIN_LIMIT_MS = 9_000

describe.skipIf(unavailable !== undefined)(`a host that comes or goes${unavailable === undefined ? '' : ` (${unavailable})`}`, () => {
  let lab: MeshLab
  let h1: MeshHost
  let h2: MeshHost
  let h3: MeshHost
  let h4: MeshHost
  /** For one host: it is h2's. */
  let single: string

  beforeAll(async () => {
    lab = await meshLab(await startLab(4))
    const [first, second, third, fourth] = lab.hosts
    if (!first || !second || !third || !fourth) throw new Error('four hosts wanted')
    ;[h1, h2, h3, h4] = [first, second, third, fourth]
    const wrapper = (host: MeshHost): readonly string[] => (host === h1 || host === h4 ? tracedBeside(traceOf(host)) : [])
    await Promise.all(lab.hosts.map((host) => host.startAgent({ wrapper: wrapper(host) })))
  })
  afterAll(() => lab?.stop())

  const traceOf = (host: MeshHost): string => join(host.host.folder, 'agent.trace')
  const traceOfCommand = async (name: string, command: readonly string[]): Promise<string> => {
    const file = join(h4.host.folder, `${name}.trace`)
    const outcome = await h4.host.exec([...traced(file), ...command], { env: h4.env, limitMs: 20_000 })
    expect(outcome, name).toMatchObject({ code: 0 })
    return readFileSync(file, 'utf8')
  }
  const names = async (): Promise<string[]> => (await h1.json<Hosts>('host', 'list')).map(({ name }) => name)

  it('begins a mesh and joins one in seconds, with a resolver that answers nothing', async () => {
    const initMs = await timed(async () => {
      await h1.api.call('init', { body: { name: 'lab' } }, { signal: AbortSignal.timeout(30_000) })
    })
    single = await newToken(h1, '--uses', '1')
    const joinMs = await timed(async () => {
      expect(await follow(h2, single, [])).toBe('done')
    })
    expect([initMs < INIT_LIMIT_MS, joinMs < JOIN_LIMIT_MS], `init ${initMs} ms, join ${joinMs} ms`).toEqual([true, true])
    expect(await names()).toEqual(['h1', 'h2'])
  })

  it('asks nobody for a name: neither the agent that lets in, nor the one that joins, nor the command line', async () => {
    const token = await newToken(h1)
    const commands = [['join', token], ['status'], ['vm', 'list']]
    for (const [number, command] of commands.entries()) {
      const trace = await traceOfCommand(`cli-${number}`, [HOSTMESH, ...command])
      expect(trace).toContain(`sun_path="${h4.socket}"`)
      expect([...lookupsIn(trace), ...resolverSettingsRead(trace)]).toEqual([])
    }
    for (const host of [h1, h4]) {
      const trace = readFileSync(traceOf(host), 'utf8')
      expect(trace).toContain(`${host.dataDir}/identity.key`)
      expect(lookupsIn(trace)).toEqual([])
      expect(resolverSettingsRead(trace).length).toBeLessThanOrEqual(2)
    }
    // Who does look a name up is found out.
    const curious = await traceOfCommand('curious', [
      process.execPath,
      '-e',
      `require('dns').lookup('somewhere.example', () => process.exit())`,
    ])
    expect(lookupsIn(curious)).not.toEqual([])
  })

  it('is refused without a good token, told why, and the mesh remembers', async () => {
    const good = parseToken(await newToken(h1))
    const expired = await newToken(h2, '--ttl', '1s')
    const revoked = await newToken(h2)
    await h2.ok('token', 'revoke', parseToken(revoked).tokenId)
    const expiredId = parseToken(expired).tokenId
    await waitFor('the token to expire', async () => {
      const { answer } = await h1.api.call('tokenList', {}, { signal: AbortSignal.timeout(5_000) })
      return answer.find(({ id }) => id === expiredId)?.state === 'expired'
    })
    const whole = encodeToken(good)
    const cases: readonly (readonly [string, string, RegExp])[] = [
      ['used up', single, /used up: 1 of 1 uses/],
      ['expired', expired, /expired/],
      ['revoked', revoked, /revoked/],
      ['forged', encodeToken(forged(good, {})), /signature/],
      ['for another mesh', encodeToken(forged(good, { meshId: '0000000000000000' as MeshId })), /for mesh 0000000000000000/],
      ['copied in part', whole.slice(0, -7), /copied only in part/],
    ]
    for (const [what, token, reason] of cases) {
      const { code, stderr } = await h3.cli('join', token)
      expect([code, stderr], what).toEqual([3, expect.stringMatching(reason)])
    }
    expect(await names()).toEqual(['h1', 'h2', 'h4'])
    const remembered = [/used up/, /expired/, /revoked/, /signature/, /for mesh 0000000000000000/]
    await waitFor('the refusals to be remembered', async () => {
      const events = JSON.stringify(await h2.json<Answer<'eventList'>>('event', 'list'))
      const missing = remembered.filter((reason) => !reason.test(events))
      expect(missing).toEqual([])
      return true
    })
  })

  it('joins again after its agent was killed half-way, at whatever moment', async () => {
    const token = await newToken(h1, '--uses', '1')
    const listed = async (): Promise<boolean> => {
      const { answer } = await h1.api.call('hostList', {}, { signal: AbortSignal.timeout(5_000) })
      return answer.some(({ name }) => name === 'h3')
    }
    const moments = {
      'when an inviter is asked': (said: readonly string[]) => said.length > 0,
      'when the mesh has let it in': listed,
      'when it knows that it is let in': () => existsSync(join(h3.dataDir, 'member.json')),
    }
    for (const [moment, reached] of Object.entries(moments)) {
      const said: string[] = []
      const joining = follow(h3, token, said).catch(() => 'broken')
      await waitFor(moment, () => reached(said), { everyMs: 2 })
      await h3.killAgent()
      expect(['broken', 'done'], moment).toContain(await joining)
      await h3.startAgent({ boot: false })
    }
    expect(await h3.ok('join', token)).toBe('host h3 is a member of mesh lab\n')
    expect(await h3.ok('join', token)).toBe('host h3 is a member of mesh lab\n')
    expect(await names()).toEqual(['h1', 'h2', 'h3', 'h4'])
    const used = (await h2.json<Answer<'tokenList'>>('token', 'list')).find(({ id }) => id === parseToken(token).tokenId)
    expect(used).toMatchObject({ used: 1, state: 'used-up' })
  })

  it('belongs to one mesh only', async () => {
    const other = encodeToken(forged(parseToken(await newToken(h1)), { meshId: '0000000000000000' as MeshId }))
    for (const args of [
      ['join', other],
      ['init', '--name', 'other'],
    ]) {
      const { code, stderr } = await h2.cli(...args)
      expect([code, stderr]).toEqual([7, expect.stringContaining('belongs to mesh lab already')])
    }
  })

  it('knows that it was removed, also when its agent was away meanwhile, and may join again', async () => {
    await h1.ok('host', 'remove', 'h4', '--reason', 'sold')
    expect(await names()).toEqual(['h1', 'h2', 'h3'])
    await toldThat(h4, /removed from mesh lab on .* by admin@h1 \(sold\)/)
    const { code, stderr } = await h4.cli('config', 'set', 'vm.shutdown-timeout-s', '33')
    expect([code, stderr]).toEqual([3, expect.stringContaining('hostmesh join TOKEN')])
    await h4.killAgent()
    await h4.startAgent({ boot: false })
    await toldThat(h4, /removed from mesh lab/)
    await h4.ok('join', await newToken(h1))
    expect(await names()).toEqual(['h1', 'h2', 'h3', 'h4'])
    // Nobody tells it this time: it knocks, and hears it.
    await h4.killAgent()
    await h1.ok('host', 'remove', 'h4')
    await h4.startAgent({ boot: false })
    await toldThat(h4, /removed from mesh lab/)
    await h4.ok('init', '--name', 'own')
    expect((await statusOf(h4)).mesh.name).toBe('own')
    for (const host of [h1, h2, h3]) {
      const { members } = (await host.api.call('meshStatus', {}, { signal: AbortSignal.timeout(5_000) })).answer
      expect(members.map(({ name }) => name)).toEqual(['h1', 'h2', 'h3'])
    }
  })
})

/** Its own `status` says so. */
function toldThat(host: MeshHost, what: RegExp): Promise<unknown> {
  const look = async (): Promise<boolean> => {
    const { code, stderr } = await host.cli('status')
    return code === 3 && what.test(stderr)
  }
  return waitFor(`${host.name} to know that it was ${what.source}`, look, { limitMs: 30_000, everyMs: 200 })
}

async function timed(work: () => Promise<void>): Promise<number> {
  const from = performance.now()
  await work()
  return Math.round(performance.now() - from)
}

/** `done`, or the reason of the failure; collects the steps. Rejects where the agent is gone. */
async function follow({ api }: MeshHost, token: string, said: string[]): Promise<string> {
  for await (const message of api.follow('join', { body: { token } }, { signal: AbortSignal.timeout(60_000) })) {
    if (message.kind === 'done') return 'done'
    if (message.kind === 'failed') return message.error.message
    said.push(message.step)
  }
  return 'broken'
}

/** The same token with another secret, and whatever else is to be different. */
function forged(token: JoinToken, changes: Partial<JoinToken>): JoinToken {
  return createToken({ ...token, ...changes }, realRandom).token
}
