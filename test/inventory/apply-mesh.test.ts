// The beginning of a mesh, joining by token, leaving, and who votes.
import { describe, expect, it } from 'vitest'
import { type Command } from '../../src/inventory/command.ts'
import { REMOVED_KEPT } from '../../src/inventory/model.ts'
import {
  aJoiner,
  aMesh,
  aMeshWithRunningVm,
  hostId,
  HOUR_MS,
  jobId,
  memberId,
  meshId,
  START_AT,
  TestLog,
  tokenId,
  vmId,
} from '../fixture/inventory.ts'

const token = tokenId('t')

function aMeshWithToken(changes: Partial<Extract<Command, { kind: 'token-create' }>> = {}): TestLog {
  const log = aMesh()
  log.do({ kind: 'token-create', id: token, publicKey: 'key', role: 'host', uses: 2, expiresAt: START_AT + HOUR_MS, ...changes })
  return log
}

describe('mesh-init', () => {
  const init = { kind: 'mesh-init', mesh: { id: meshId('m1'), name: 'lab' }, host: aJoiner('h1') } as const

  it('begins the mesh with its first host, which is up', () => {
    const log = new TestLog()
    expect(log.try(init)).toEqual({ kind: 'done', value: { id: 'm1' } })
    expect(log.now.mesh).toMatchObject({ id: 'm1', name: 'lab', generation: 1 })
    expect(log.now.hosts.get(hostId('h1'))).toMatchObject({ status: 'up', incarnation: 1, member: 1 })
    expect(log.lastEvents()).toEqual(['mesh.created'])
  })

  it('is done already when it comes again, and a conflict for another mesh', () => {
    const log = new TestLog()
    log.do(init)
    const { mesh } = log.now
    expect(log.try(init).kind).toBe('done')
    expect(log.now.mesh).toBe(mesh)
    expect(log.try({ ...init, mesh: { id: meshId('m2'), name: 'other' } })).toMatchObject({ kind: 'refused', code: 'conflict' })
  })

  it('is refused with all reasons for a bad name and an address that is none', () => {
    const result = new TestLog().try({
      ...init,
      mesh: { id: meshId('m1'), name: 'My Mesh' },
      host: aJoiner('h1', { addresses: ['h1.example:1'] }),
    })
    expect(result).toMatchObject({ kind: 'refused', reasons: [{ code: 'name' }, { code: 'address' }] })
  })
})

describe('host-join', () => {
  it('uses the token once and makes the host joining until its agent reports', () => {
    const log = aMeshWithToken()
    expect(log.try({ kind: 'host-join', token, host: aJoiner('h2') })).toEqual({ kind: 'done', value: { id: 'h2' } })
    expect(log.now.hosts.get(hostId('h2'))).toMatchObject({
      status: 'joining',
      incarnation: 0,
      member: 2,
      joinedAt: log.now.events.at(-1)?.at,
    })
    expect(log.now.tokens.get(token)?.usedBy).toEqual(['h2'])
    expect(log.lastEvents()).toEqual(['host.joined'])
  })

  it('is done already for a member that comes again, whatever became of the token', () => {
    const log = aMeshWithToken()
    log.do({ kind: 'host-join', token, host: aJoiner('h2') })
    log.do({ kind: 'token-revoke', id: token })
    expect(log.try({ kind: 'host-join', token, host: aJoiner('h2') })).toEqual({ kind: 'done', value: { id: 'h2' } })
    expect(log.steps.at(-1)?.changes).toEqual([])
  })

  it('replaces the member of a host that comes with a new data directory, without a further use', () => {
    const log = aMeshWithToken({ uses: 1 })
    const h2 = hostId('h2')
    log.do({ kind: 'host-join', token, host: aJoiner('h2') })
    log.do({
      kind: 'agent-started',
      host: h2,
      facts: aJoiner('h2').facts,
      addresses: ['198.18.0.2:7946'],
      bootId: 'boot-h2',
      member: memberId(2),
    })
    log.do({ kind: 'host-set', host: h2, name: 'big', labels: { rack: 'a' } })
    const { joinedAt } = log.now.hosts.get(h2) ?? {}
    log.do({ kind: 'host-join', token, host: aJoiner('h2', { member: memberId(22), bootId: 'later' }) })
    expect(log.now.hosts.get(h2)).toMatchObject({
      member: 22,
      status: 'up',
      incarnation: 1,
      bootId: 'later',
      name: 'big',
      labels: { rack: 'a' },
      joinedAt,
    })
    expect(log.now.tokens.get(token)?.usedBy).toEqual(['h2'])
    expect(log.lastEvents()).toEqual(['host.replaced'])
  })

  it('does not turn a host into a witness, which could not own its VMs', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'token-create', id: token, publicKey: 'key', role: 'witness', uses: 1, expiresAt: START_AT + HOUR_MS })
    const result = log.try({ kind: 'host-join', token, host: aJoiner('h1', { member: memberId(11), role: 'witness' }) })
    expect(result).toMatchObject({ kind: 'refused', reasons: [{ code: 'role-change', fix: 'hostmesh host remove h1, then join anew' }] })
    expect(log.now.hosts.get(hostId('h1'))).toMatchObject({ role: 'host', member: 1 })
    expect(log.now.tokens.get(token)?.usedBy).toEqual([])
  })

  it('leaves a replaced host its VMs: ownership is of the host, not of its data directory', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'token-create', id: token, publicKey: 'key', role: 'host', uses: 1, expiresAt: START_AT + HOUR_MS })
    log.do({ kind: 'host-join', token, host: aJoiner('h1', { member: memberId(11) }) })
    expect(log.vm('web').owner).toMatchObject({ host: 'h1' })
  })

  const refusals: readonly (readonly [
    string,
    string,
    (log: TestLog) => Partial<{ host: ReturnType<typeof aJoiner>; token: typeof token; at: number }>,
  ])[] = [
    ['unknown', 'token-unknown', () => ({ token: tokenId('other') })],
    ['revoked', 'token-revoked', (log) => (log.do({ kind: 'token-revoke', id: token }), {})],
    ['expired, to the millisecond', 'token-expired', () => ({ at: START_AT + HOUR_MS })],
    ['of another role', 'token-role', () => ({ host: aJoiner('h4', { role: 'witness' }) })],
    [
      'used up',
      'token-used-up',
      (log) => {
        log.do({ kind: 'host-join', token, host: aJoiner('h2') })
        log.do({ kind: 'host-join', token, host: aJoiner('h3') })
        return {}
      },
    ],
  ]
  it.each(refusals)('with a token that is %s is refused, and the event log says so', (_what, code, prepare) => {
    const log = aMeshWithToken()
    const { host = aJoiner('h4'), token: shown = token, at } = prepare(log)
    const hosts = log.now.hosts.size
    const result = log.try({ kind: 'host-join', token: shown, host }, at === undefined ? {} : { at })
    expect(result).toMatchObject({ kind: 'refused', code: 'refused', reasons: [{ code }] })
    expect(log.lastEvents()).toEqual(['token.refused'])
    expect(log.now.events.at(-1)).toMatchObject({ object: `token ${shown}`, data: { host: 'h4', reasons: [{ code }] } })
    expect(log.now.hosts.size).toBe(hosts)
  })

  it('a millisecond before its end still counts', () => {
    const log = aMeshWithToken()
    expect(log.try({ kind: 'host-join', token, host: aJoiner('h2') }, { at: START_AT + HOUR_MS - 1 }).kind).toBe('done')
  })

  it('is refused under a name or member id that another host has, without using the token', () => {
    const log = aMeshWithToken()
    const result = log.try({ kind: 'host-join', token, host: aJoiner('h2', { name: 'h1', member: memberId(1) }) })
    expect(result).toMatchObject({ kind: 'refused', reasons: [{ code: 'name-taken' }, { code: 'member-taken' }] })
    expect(log.now.tokens.get(token)?.usedBy).toEqual([])
    expect(log.lastEvents()).toEqual(['host.refused'])
  })

  it('is refused where no mesh was begun', () => {
    expect(new TestLog().try({ kind: 'host-join', token, host: aJoiner('h2') })).toMatchObject({ reasons: [{ code: 'mesh-missing' }] })
  })
})

describe('host-remove', () => {
  it('takes the host out', () => {
    const log = aMesh({ hosts: 2 })
    log.do({ kind: 'host-remove', host: hostId('h2') })
    expect([...log.now.hosts.keys()]).toEqual(['h1'])
    expect(log.lastEvents()).toEqual(['host.removed'])
    expect(log.try({ kind: 'host-remove', host: hostId('h2') })).toMatchObject({ kind: 'refused', code: 'not-found' })
  })

  it('is refused while the host owns a VM, with the command that ends that', () => {
    const log = aMeshWithRunningVm()
    const result = log.try({ kind: 'host-remove', host: hostId('h1') })
    expect(result).toMatchObject({ kind: 'refused', reasons: [{ code: 'host-owns-vm', fix: 'hostmesh vm stop web' }] })
    log.do({ kind: 'vm-stop', vm: vmId('web'), job: jobId('stop') })
    log.stop('web', 'off')
    expect(log.try({ kind: 'host-remove', host: hostId('h1') }).kind).toBe('done')
  })

  it('is refused for the last host', () => {
    expect(aMesh().try({ kind: 'host-remove', host: hostId('h1') })).toMatchObject({ reasons: [{ code: 'last-host' }] })
  })
})

describe('the memory of removed hosts', () => {
  const names = (log: TestLog): readonly string[] => (log.now.mesh?.removed ?? []).map(({ name }) => name)
  const joinAgain = (log: TestLog, name: string, member: number): void => {
    const token = tokenId(`t${member}`)
    log.do({ kind: 'token-create', id: token, publicKey: 'key', role: 'host', uses: 1, expiresAt: START_AT + 1_000 * HOUR_MS })
    log.do({ kind: 'host-join', token, host: aJoiner(name, { member: memberId(member) }) })
  }

  it('holds who left, when and by whom, until it joins again', () => {
    const log = aMesh({ hosts: 3 })
    expect(log.now.mesh?.removed).toBeUndefined()
    log.do({ kind: 'host-remove', host: hostId('h3') }, { actor: 'admin@h2', reason: 'sold', at: START_AT + HOUR_MS })
    log.do({ kind: 'host-remove', host: hostId('h2') })
    expect(log.now.mesh?.removed?.[0]).toEqual({
      id: 'h3',
      name: 'h3',
      member: 3,
      at: START_AT + HOUR_MS,
      by: 'admin@h2',
      reason: 'sold',
    })
    expect(names(log)).toEqual(['h3', 'h2'])
    joinAgain(log, 'h3', 33)
    expect(names(log)).toEqual(['h2'])
  })

  it('holds the newest 64', () => {
    const log = aMesh({ hosts: 1 })
    for (let at = 2; at <= REMOVED_KEPT + 2; at += 1) {
      joinAgain(log, `h${at}`, at)
      log.do({ kind: 'host-remove', host: hostId(`h${at}`) })
    }
    expect([names(log).length, names(log)[0], names(log).at(-1)]).toEqual([REMOVED_KEPT, 'h3', `h${REMOVED_KEPT + 2}`])
  })

  it('does not let the last host go while only witnesses would be left', () => {
    const log = aMesh({ hosts: 1 })
    const token = tokenId('w')
    log.do({ kind: 'token-create', id: token, publicKey: 'key', role: 'witness', uses: 1, expiresAt: START_AT + 1_000 * HOUR_MS })
    log.do({ kind: 'host-join', token, host: aJoiner('h2', { role: 'witness' }) })
    expect(log.try({ kind: 'host-remove', host: hostId('h1') })).toMatchObject({
      reasons: [{ code: 'last-host', message: expect.stringContaining('a witness alone') }],
    })
    log.do({ kind: 'host-remove', host: hostId('h2') })
  })
})

describe('leader-transfer', () => {
  it('is written down with its reason, and changes nothing else', () => {
    const log = aMesh({ hosts: 2 })
    log.do({ kind: 'leader-transfer', leaderTerm: 1, to: hostId('h2'), why: 'h1 is being removed' })
    expect(log.now.events.at(-1)).toMatchObject({ type: 'mesh.leader-transfer', data: { to: 'h2', why: 'h1 is being removed' } })
    expect(log.try({ kind: 'leader-transfer', leaderTerm: 1, to: hostId('h9'), why: '' }).kind).toBe('stale')
  })
})

describe('voters-change', () => {
  const change = { kind: 'voters-change', leaderTerm: 1, promote: [], demote: [], remove: [] } as const

  it('is written down by name', () => {
    const log = aMesh({ hosts: 3 })
    log.do({ ...change, promote: [memberId(2), memberId(3)], demote: [memberId(1)], remove: [memberId(9)], why: 'because' })
    expect(log.now.events.at(-1)).toMatchObject({
      type: 'mesh.voters-changed',
      data: { promoted: ['h2', 'h3'], demoted: ['h1'], removed: ['9'], why: 'because' },
    })
  })

  it.each([
    ['promotes a stranger', { promote: [memberId(9)] }],
    ['demotes a stranger', { demote: [memberId(9)] }],
    ['removes the member of a host', { remove: [memberId(2)] }],
  ])('is stale where it %s', (_what, changes) => {
    const log = aMesh({ hosts: 3 })
    expect(log.try({ ...change, ...changes }).kind).toBe('stale')
    expect(log.lastEvents()).toEqual([])
  })
})
