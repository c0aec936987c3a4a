// Whom the leader hands over to, and what its asker hears.
import { describe, expect, it } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { handOver, type HandOverDesk, reasonsAgainst } from '../../src/cluster/hand-over.ts'
import { members } from '../../src/cluster/members.ts'
import { type ReplicaStatus } from '../../src/consensus/replica.ts'
import { type Host } from '../../src/inventory/model.ts'
import { aMesh, hostId } from '../fixture/inventory.ts'

const { now } = aMesh({ hosts: 3 })
const { signal } = new AbortController()
const well = { match: 1_000, recentActive: true, active: true, state: 'replicate' } as const

const status: ReplicaStatus = {
  id: 1,
  role: 'leader',
  term: 4,
  leader: 1,
  commitIndex: 1_000,
  appliedIndex: 1_000,
  lastIndex: 1_000,
  lastTerm: 4,
  firstIndex: 1,
  conf: { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false },
  progress: new Map([[2, well]]),
  leading: true,
}

function host(changes: Partial<Host> = {}): Host {
  const found = now.hosts.get(hostId('h2'))
  if (found === undefined) throw new Error('no h2')
  return { ...found, ...changes }
}

const codes = (about: Host, changes: Partial<ReplicaStatus> = {}): readonly string[] =>
  reasonsAgainst(about, { ...status, ...changes }).map(({ code }) => code)

describe('a host may lead', () => {
  it('that votes, answers and keeps up: at most a thousand entries are made up in time', () => {
    expect(codes(host())).toEqual([])
    expect(codes(host(), { progress: new Map([[2, { ...well, match: 0 }]]) })).toEqual([])
    expect(codes(host(), { lastIndex: 1_001, progress: new Map([[2, { ...well, match: 0 }]]) })).toEqual(['lags'])
  })

  it('not otherwise, and hears every reason', () => {
    expect(codes(host(), { id: 2 })).toEqual(['leads-already'])
    expect(codes(host({ role: 'witness' }))).toEqual(['witness'])
    expect(codes(host(), { conf: { ...status.conf, voters: [1] } })).toEqual(['learner'])
    expect(codes(host(), { progress: new Map([[2, { ...well, active: false }]]) })).toEqual(['not-heard'])
    expect(codes(host({ role: 'witness' }), { conf: { ...status.conf, voters: [1] }, lastIndex: 9_000, progress: new Map() })).toEqual([
      'witness',
      'learner',
      'not-heard',
      'lags',
    ])
  })
})

describe('a hand-over', () => {
  const wish = { to: hostId('h2'), why: 'a test', actor: 'admin@h3', reason: 'because', dryRun: false }

  function deskWith(changes: Partial<ReplicaStatus> = {}, transfer: () => Promise<void> = () => Promise.resolve()) {
    const done: string[] = []
    const desk: HandOverDesk = {
      inventory: () => now,
      members: members(() => now, new Map()),
      replica: {
        status: () => ({ ...status, ...changes }),
        transferLeadership: (target) => {
          done.push(`transfer to ${target}`)
          return transfer()
        },
      },
      note: (of, term) => {
        done.push(`note ${of.why} in term ${term}`)
        return Promise.resolve({ kind: 'done', value: {} })
      },
    }
    return { desk, done }
  }

  it('is written down before it begins', async () => {
    const { desk, done } = deskWith()
    await handOver(desk, wish, signal)
    expect(done).toEqual(['note a test in term 4', 'transfer to 2'])
  })

  it('is only checked where nothing is to be done', async () => {
    const { desk, done } = deskWith()
    await handOver(desk, { ...wish, dryRun: true }, signal)
    expect(done).toEqual([])
    const unheard = deskWith({ progress: new Map() })
    await expect(handOver(unheard.desk, { ...wish, dryRun: true }, signal)).rejects.toMatchObject({ code: 'refused' })
  })

  it.each([
    ['this host leads no more', { role: 'follower' as const }, wish, 'unreachable'],
    ['there is no such host', {}, { ...wish, to: hostId('h9') }, 'not-found'],
    ['it does not answer', { progress: new Map() }, wish, 'refused'],
  ])('is refused, and nothing written down, where %s', async (_, changes, asked, code) => {
    const { desk, done } = deskWith(changes)
    await expect(handOver(desk, asked, signal)).rejects.toMatchObject({ code })
    expect(done).toEqual([])
  })

  it.each([
    [1, 'h1 leads'],
    [3, 'h3 leads'],
    [0, 'nobody is known to lead now'],
  ])('that was not taken says who leads: member %i', async (leader, said) => {
    const { desk } = deskWith({ leader }, () => Promise.reject(new OperationError('timeout', 'not done', { data: { kind: 'not-done' } })))
    await expect(handOver(desk, wish, signal)).rejects.toMatchObject({ code: 'timeout', message: `host h2 did not take over: ${said}` })
  })

  it('that comes after its term is not begun', async () => {
    const { desk, done } = deskWith()
    const late: HandOverDesk = { ...desk, note: () => Promise.resolve({ kind: 'stale', why: 'another term' }) }
    await expect(handOver(late, wish, signal)).rejects.toMatchObject({ code: 'conflict' })
    expect(done).toEqual([])
  })
})
