// How a member counts, by what the leader sees of it.
import { describe, expect, it } from 'vitest'
import { type MemberStatus } from '../../src/inventory/cluster.ts'
import { type Contact } from '../../src/leader/controllers.ts'
import { seatsOf, type SeatsView, STABLE_MS } from '../../src/leader/seats.ts'
import { aMesh, hostId, memberId, type TestLog } from '../fixture/inventory.ts'
import { aMember } from '../fixture/members.ts'

const COMMITTED = 1_000
const well = { matchIndex: COMMITTED, active: true } as const
const silent = { matchIndex: COMMITTED, active: false } as const
const up: Contact = { upMs: STABLE_MS, silentMs: 0 }

interface Sight {
  readonly log?: TestLog
  readonly contact?: Contact
  readonly inactiveForMs?: number
}

/** The seat of h2, in a mesh that h1 leads. */
function seatOf(
  member: MemberStatus,
  { log = aMesh({ hosts: 3 }), contact = up, inactiveForMs }: Sight = {},
): ReturnType<typeof seatsOf>[number] {
  const view: SeatsView = {
    inventory: log.now,
    self: hostId('h1'),
    status: { members: [aMember('h1', 'leader', well), member], strangers: [], commitIndex: COMMITTED },
    contacts: new Map([[hostId('h2'), contact]]),
    inactiveSince: inactiveForMs === undefined ? new Map() : new Map([[memberId(2), 500_000 - inactiveForMs]]),
    nowMs: 500_000,
  }
  const seat = seatsOf(view)[1]
  if (seat === undefined) throw new Error('h2 has no seat')
  return seat
}

describe('a learner', () => {
  const learner = (changes: Partial<MemberStatus>): MemberStatus => aMember('h2', 'learner', changes)
  it.each<[string, Partial<MemberStatus>, Contact]>([
    ['up for 10 s, caught up', well, up],
    ['64 entries behind: one message', { ...well, matchIndex: COMMITTED - 64 }, up],
  ])('is ready: %s', (_, changes, contact) => {
    expect(seatOf(learner(changes), { contact })).toMatchObject({ standing: 'ready', votes: false, leads: false, member: 2, name: 'h2' })
  })

  it.each<[string, Partial<MemberStatus>, Contact, string]>([
    ['up for less', well, { upMs: STABLE_MS - 1, silentMs: 0 }, 'unready'],
    ['without a link', well, { upMs: null, silentMs: 99 }, 'unready'],
    ['65 entries behind', { ...well, matchIndex: COMMITTED - 65 }, up, 'unready'],
    ['of unknown progress', { ...well, matchIndex: null }, up, 'unready'],
    ['silent', silent, up, 'dead'],
    ['not known to answer', { ...well, active: null }, up, 'dead'],
    ['being removed', { ...well, leaving: true }, up, 'leaving'],
  ])('is not: %s', (_, changes, contact, standing) => {
    expect(seatOf(learner(changes), { contact }).standing).toBe(standing)
  })

  it('is not, before its agent has reported', () => {
    const log = aMesh({ hosts: 2 })
    const host = log.now.hosts.get(hostId('h2'))
    if (host === undefined) throw new Error('no h2')
    const hosts = new Map(log.now.hosts).set(host.id, { ...host, status: 'joining' })
    const view: SeatsView = {
      inventory: { ...log.now, hosts },
      self: hostId('h1'),
      status: { members: [learner(well)], strangers: [], commitIndex: COMMITTED },
      contacts: new Map([[host.id, up]]),
      inactiveSince: new Map(),
      nowMs: 0,
    }
    expect(seatsOf(view)[0]?.standing).toBe('unready')
  })
})

describe('a voter', () => {
  const voter = (changes: Partial<MemberStatus>): MemberStatus => aMember('h2', 'voter', changes)

  it('is ready while it answers and keeps up, whatever its link did', () => {
    expect(seatOf(voter(well))).toMatchObject({ standing: 'ready', votes: true })
    expect(seatOf(voter(well), { contact: { upMs: null, silentMs: 900_000 } }).standing).toBe('ready')
    expect(seatOf(voter({ ...well, matchIndex: COMMITTED - 65 })).standing).toBe('unready')
  })

  it('is dead after five minutes without an answer to this leader, or without a link', () => {
    expect(seatOf(voter(silent), { inactiveForMs: 299_999 }).standing).toBe('unready')
    expect(seatOf(voter(silent), { inactiveForMs: 300_000 })).toMatchObject({ standing: 'dead', because: 'was not heard of for 300 s' })
    expect(seatOf(voter(silent), { contact: { upMs: null, silentMs: 299_999 } }).standing).toBe('unready')
    expect(seatOf(voter(silent), { contact: { upMs: null, silentMs: 312_400 }, inactiveForMs: 1_000 })).toMatchObject({
      standing: 'dead',
      because: 'was not heard of for 312 s',
    })
  })

  it('is not dead by a link that is up, nor by one that never was', () => {
    expect(seatOf(voter(silent), { contact: { upMs: 5, silentMs: 900_000 } }).standing).toBe('unready')
    expect(seatOf(voter(silent), { contact: { upMs: null, silentMs: null } }).standing).toBe('unready')
  })

  it('is dead sooner, if people want it so', () => {
    const log = aMesh({ hosts: 3 })
    log.do({ kind: 'config-set', key: 'mesh.voter-replace-after-s', value: 2 })
    expect(seatOf(voter(silent), { log, inactiveForMs: 1_999 }).standing).toBe('unready')
    expect(seatOf(voter(silent), { log, inactiveForMs: 2_000 }).standing).toBe('dead')
  })

  it('that is being removed says so', () => {
    expect(seatOf(voter({ ...well, leaving: true }))).toMatchObject({ standing: 'leaving', because: 'is being removed' })
  })

  it('may be a witness', () => {
    expect(seatOf(aMember('h2', 'witness', well)).votes).toBe(true)
  })
})

describe('the leader', () => {
  it('is ready, and leads', () => {
    const view: SeatsView = {
      inventory: aMesh({ hosts: 1 }).now,
      self: hostId('h1'),
      status: { members: [aMember('h1', 'leader')], strangers: [memberId(77)], commitIndex: COMMITTED },
      contacts: new Map(),
      inactiveSince: new Map(),
      nowMs: 0,
    }
    expect(seatsOf(view)).toMatchObject([
      { member: 1, standing: 'ready', leads: true, votes: true },
      { member: 77, standing: 'gone', leads: false, votes: true, because: 'belongs to no host of the mesh any more' },
    ])
  })
})

describe('the zone', () => {
  it('is the label, and without one the host itself', () => {
    const log = aMesh({ hosts: 3 })
    expect(seatOf(aMember('h2')).zone).toBe('host h2')
    log.do({ kind: 'host-set', host: hostId('h2'), labels: { zone: 'cellar' } })
    expect(seatOf(aMember('h2'), { log }).zone).toBe('zone cellar')
  })
})
