// A mesh that goes on in a new generation, and its hosts that come back as other members.
import { describe, expect, it } from 'vitest'
import { type Command } from '../../src/inventory/command.ts'
import { nextEpoch } from '../../src/inventory/view.ts'
import {
  aJoiner,
  aMesh,
  aMeshWithRunningVm,
  generationId,
  hostId,
  jobId,
  memberId,
  someVm,
  START_AT,
  TestLog,
  tokenId,
} from '../fixture/inventory.ts'

function renewal(changes: Partial<Extract<Command, { kind: 'mesh-renew' }>> = {}): Extract<Command, { kind: 'mesh-renew' }> {
  const host = aJoiner('h2', { member: memberId(22) })
  return { kind: 'mesh-renew', cause: 'recovered', generation: 2, generationId: generationId('g2'), host, plan: 'abc', ...changes }
}

describe('mesh-renew', () => {
  it('raises the generation and makes the host another member, and says by which plan', () => {
    const log = aMesh({ hosts: 3 })
    log.do(renewal())
    expect(log.now.mesh).toMatchObject({ name: 'lab', generation: 2, generationId: 'g2' })
    expect(log.now.hosts.get(hostId('h2'))).toMatchObject({ member: 22, status: 'up', name: 'h2' })
    expect(log.now.events.at(-1)).toMatchObject({ type: 'mesh.recovered', data: { generation: 2, before: 1, host: 'h2', plan: 'abc' } })
  })

  it('ends no ownership: a VM whose host is away stays that of its host, and the next one is of the new generation', () => {
    const log = aMeshWithRunningVm()
    const { owner } = log.vm('web')
    log.do(renewal())
    expect(log.vm('web').owner).toEqual(owner)
    log.stop('web', 'crash')
    expect(nextEpoch(log.now, log.vm('web'))).toEqual({ generation: 2, counter: 2 })
    log.assign('web', 'h3')
    expect(log.vm('web').owner?.epoch).toEqual({ generation: 2, counter: 2 })
  })

  it.each([1, 0])('is refused for generation %d, which does not follow', (generation) => {
    const log = aMesh({ hosts: 2 })
    expect(log.try(renewal({ generation }))).toMatchObject({ kind: 'refused', reasons: [{ code: 'generation' }] })
    expect(log.now.mesh?.generation).toBe(1)
  })

  it('is refused where there is no mesh', () => {
    expect(new TestLog().try(renewal())).toMatchObject({ kind: 'refused', reasons: [{ code: 'mesh-missing' }] })
  })

  it('is refused for a member that another host is', () => {
    const log = aMesh({ hosts: 3 })
    const host = aJoiner('h2', { member: memberId(3) })
    expect(log.try(renewal({ host }))).toMatchObject({ kind: 'refused', reasons: [{ code: 'member-taken' }] })
  })

  it('keeps tokens when it was recovered, revokes them when it was restored: some may have been since the backup', () => {
    const log = aMesh()
    const token = { kind: 'token-create', publicKey: 'key', role: 'host', uses: 1, expiresAt: START_AT + 9_000_000 } as const
    log.do({ ...token, id: tokenId('t') })
    log.do(renewal({ host: aJoiner('h1', { member: memberId(22) }) }))
    expect(log.now.tokens.get(tokenId('t'))?.revoked).toBe(false)
    log.do(renewal({ cause: 'restored', generation: 3, host: aJoiner('h1', { member: memberId(33) }) }))
    expect(log.now.tokens.get(tokenId('t'))?.revoked).toBe(true)
    expect(log.lastEvents()).toEqual(['mesh.restored'])
  })

  it('holds what this host would start by the word of a backup, and leaves to other hosts what is theirs', () => {
    const log = aMeshWithRunningVm()
    log.do(someVm('waiting', { startJob: jobId('j') }))
    log.do(someVm('other', { startJob: jobId('k') }))
    log.assign('other', 'h3')
    const { owner } = log.vm('other')
    log.do(renewal({ cause: 'restored', host: aJoiner('h1', { member: memberId(11) }) }))
    for (const name of ['web', 'waiting']) expect(log.vm(name)).toMatchObject({ owner: null, desired: { power: 'off' } })
    expect(log.now.jobs.get(jobId('j'))).toMatchObject({ phase: 'failed', error: { reasons: [{ code: 'restored' }] } })
    expect(log.vm('other')).toMatchObject({ owner, desired: { power: 'on' } })
    expect(log.lastEvents()).toContain('vm.held')
  })

  it('holds a VM whose host lost it before the mesh was restored, and starts one again that the host has reported since', () => {
    const log = aMeshWithRunningVm()
    for (const name of ['gone', 'here', 'recovered']) {
      log.do(someVm(name, { startJob: jobId(name) }))
      log.assign(name, 'h3')
      log.observe(name, 'running')
    }
    log.do(renewal({ host: aJoiner('h1', { member: memberId(22) }) }))
    log.stop('recovered', 'host-down')
    expect(log.vm('recovered')).toMatchObject({ owner: null, desired: { power: 'on' } })
    log.do(renewal({ cause: 'restored', generation: 3, host: aJoiner('h1', { member: memberId(11) }) }))
    expect(log.now.mesh?.restored).toBe(3)
    log.observe('here', 'running')
    log.stop('here', 'host-down')
    expect(log.vm('here')).toMatchObject({ owner: null, desired: { power: 'on' } })
    log.stop('gone', 'host-down')
    expect(log.vm('gone')).toMatchObject({ owner: null, desired: { power: 'off' } })
    expect(log.lastEvents()).toEqual(['vm.interrupted', 'vm.held'])
    log.assign('here', 'h3')
    log.stop('here', 'host-down')
    expect(log.vm('here').desired.power, 'of an epoch since the restore').toBe('on')
  })

  it('takes in a host that the backup does not know, unless its name is taken', () => {
    const log = aMesh({ hosts: 2 })
    const twin = aJoiner('h9', { name: 'h1' })
    expect(log.try(renewal({ cause: 'restored', host: twin }))).toMatchObject({ kind: 'refused', reasons: [{ code: 'name-taken' }] })
    log.do(renewal({ cause: 'restored', host: aJoiner('h9') }))
    expect(log.now.hosts.get(hostId('h9'))).toMatchObject({ name: 'h9', status: 'up', incarnation: 0 })
    expect(log.now.hosts.size).toBe(3)
  })
})

describe('host-rejoin', () => {
  it('makes the host another member, and leaves its VMs, its name and its labels its own', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'host-set', host: hostId('h1'), name: 'rack1', labels: { zone: 'a' } })
    const { owner } = log.vm('web')
    log.do({ kind: 'host-rejoin', host: aJoiner('h1', { member: memberId(11), role: 'witness', bootId: 'later' }) })
    expect(log.now.hosts.get(hostId('h1'))).toMatchObject({
      name: 'rack1',
      role: 'host',
      member: 11,
      bootId: 'later',
      labels: { zone: 'a' },
      status: 'up',
    })
    expect(log.vm('web').owner).toEqual(owner)
    expect(log.now.events.at(-1)).toMatchObject({ type: 'host.rejoined', data: { id: 'h1', member: 11, before: 1 } })
  })

  it('is done already when it comes again', () => {
    const log = aMesh({ hosts: 2 })
    const again = { kind: 'host-rejoin', host: aJoiner('h2', { member: memberId(22) }) } as const
    log.do(again)
    const { hosts } = log.now
    expect(log.try(again).kind).toBe('done')
    expect(log.now.hosts).toBe(hosts)
  })

  it('is refused for whoever is no host of the mesh: one that was removed needs a token', () => {
    const log = aMesh({ hosts: 2 })
    log.do({ kind: 'host-remove', host: hostId('h2') })
    const result = log.try({ kind: 'host-rejoin', host: aJoiner('h2', { member: memberId(22) }) })
    expect(result).toMatchObject({ kind: 'refused', reasons: [{ code: 'not-a-host' }] })
  })

  it('is refused for a member that another host is', () => {
    const log = aMesh({ hosts: 2 })
    const result = log.try({ kind: 'host-rejoin', host: aJoiner('h2', { member: memberId(1) }) })
    expect(result).toMatchObject({ kind: 'refused', reasons: [{ code: 'member-taken' }] })
  })
})
