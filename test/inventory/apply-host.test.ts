// What agents report of their hosts, what they raise an alarm about, and what people set.
import { describe, expect, it } from 'vitest'
import { type Command } from '../../src/inventory/command.ts'
import { aJoiner, aMesh, hostId, memberId, someFacts, START_AT, HOUR_MS, tokenId, type TestLog } from '../fixture/inventory.ts'

const h1 = hostId('h1')
const hostOf = (log: TestLog, name = 'h1') => log.now.hosts.get(hostId(name))

function started(changes: Partial<Extract<Command, { kind: 'agent-started' }>> = {}): Extract<Command, { kind: 'agent-started' }> {
  return {
    kind: 'agent-started',
    host: h1,
    facts: someFacts(),
    addresses: ['198.18.0.1:7946'],
    bootId: 'boot-h1',
    member: memberId(1),
    ...changes,
  }
}

describe('agent-started', () => {
  it('makes a joining host up, and counts the starts of its agent', () => {
    const log = aMesh()
    log.do({ kind: 'token-create', id: tokenId('t'), publicKey: 'key', role: 'host', uses: 1, expiresAt: START_AT + HOUR_MS })
    log.do({ kind: 'host-join', token: tokenId('t'), host: aJoiner('h2') })
    const report = started({ host: hostId('h2'), member: memberId(2), addresses: ['198.18.0.2:7946'] })
    log.do(report)
    expect(hostOf(log, 'h2')).toMatchObject({ status: 'up', incarnation: 1 })
    log.do(report)
    expect(hostOf(log, 'h2')).toMatchObject({ status: 'up', incarnation: 2 })
  })

  it('replaces facts, addresses and boot id, and tells whether the machine was booted', () => {
    const log = aMesh()
    log.do(started({ facts: someFacts({ memoryMiB: 1_024 }), addresses: ['[2001:db8::1]:7946'], bootId: 'later' }))
    expect(hostOf(log)).toMatchObject({ facts: { memoryMiB: 1_024 }, addresses: ['[2001:db8::1]:7946'], bootId: 'later' })
    expect(log.now.events.at(-1)).toMatchObject({ type: 'host.started', data: { incarnation: 2, booted: true } })
    log.do(started({ bootId: 'later' }))
    expect(log.now.events.at(-1)).toMatchObject({ data: { booted: false } })
  })

  it('of a member that was replaced is stale', () => {
    const log = aMesh()
    expect(log.try(started({ member: memberId(9) })).kind).toBe('stale')
    expect(hostOf(log)?.incarnation).toBe(1)
  })

  it('of a host that is none is not found, and with an address that is none refused', () => {
    const log = aMesh()
    expect(log.try(started({ host: hostId('h9') }))).toMatchObject({ kind: 'refused', code: 'not-found' })
    expect(log.try(started({ addresses: ['h1:7946'] }))).toMatchObject({ kind: 'refused', reasons: [{ code: 'address' }] })
  })
})

describe('host-addresses', () => {
  it('moves the host, once', () => {
    const log = aMesh()
    log.do({ kind: 'host-addresses', host: h1, addresses: ['198.18.9.9:7946'] })
    expect(hostOf(log)?.addresses).toEqual(['198.18.9.9:7946'])
    expect(log.lastEvents()).toEqual(['host.moved'])
    log.do({ kind: 'host-addresses', host: h1, addresses: ['198.18.9.9:7946'] })
    expect(log.lastEvents()).toEqual([])
  })

  it('refuses names', () => {
    expect(aMesh().try({ kind: 'host-addresses', host: h1, addresses: [] })).toMatchObject({ reasons: [{ code: 'address' }] })
  })
})

describe('host-set', () => {
  it('names the host and sets and takes away labels', () => {
    const log = aMesh()
    log.do({ kind: 'host-set', host: h1, name: 'big-1', labels: { rack: 'a', row: '7' } })
    log.do({ kind: 'host-set', host: h1, labels: { rack: null, room: 'x' } })
    expect(hostOf(log)).toMatchObject({ name: 'big-1', labels: { row: '7', room: 'x' } })
    expect(hostOf(log)?.labels).not.toHaveProperty('rack')
  })

  it('to what is so already is done without an event', () => {
    const log = aMesh()
    log.do({ kind: 'host-set', host: h1, name: 'h1' })
    expect(log.lastEvents()).toEqual([])
  })

  it('refuses a name that another host has', () => {
    const log = aMesh({ hosts: 2 })
    expect(log.try({ kind: 'host-set', host: h1, name: 'h2' })).toMatchObject({ kind: 'refused', reasons: [{ code: 'name-taken' }] })
    expect(hostOf(log)?.name).toBe('h1')
  })
})

describe('host-alarm', () => {
  it.each([
    ['peer-refused', 'peer.refused'],
    ['identity-cloned', 'identity.cloned'],
  ] as const)('%s stands in the event log as %s, and nothing else changes', (alarm, type) => {
    const log = aMesh()
    const { hosts } = log.now
    log.do({ kind: 'host-alarm', host: h1, alarm, subject: 'peer 12D3', why: 'it is no member' })
    expect(log.now.events.at(-1)).toMatchObject({ type, object: 'peer 12D3', data: { at: 'h1', why: 'it is no member' } })
    expect(log.now.hosts).toBe(hosts)
  })
})
