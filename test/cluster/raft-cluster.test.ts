// How a proposal travels from any host to the leader, and what the asker hears when that goes wrong.
import { beforeEach, describe, expect, it } from 'vitest'
import { abortable, deadline } from '../../src/base/deadline.ts'
import { emitter } from '../../src/base/emitter.ts'
import { OperationError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { inventoryMachine } from '../../src/cluster/inventory-machine.ts'
import { Leaving } from '../../src/cluster/leaving.ts'
import { members } from '../../src/cluster/members.ts'
import { raftCluster, type RaftClusterOptions } from '../../src/cluster/raft-cluster.ts'
import { type ProposeReply } from '../../src/cluster/wire.ts'
import { type ReplicaStatus } from '../../src/consensus/replica.ts'
import { NOBODY, type NodeId } from '../../src/consensus/types.ts'
import { type Superseded } from '../../src/inventory/cluster.ts'
import { type CommandResult } from '../../src/inventory/model.ts'
import { toRows } from '../../src/inventory/snapshot.ts'
import { aMesh, hostId } from '../fixture/inventory.ts'
import { restoreWhole } from '../fixture/loaded-state.ts'
import { type ManualClock, manualClock } from '../fixture/manual-clock.ts'

const DONE: ProposeReply = { index: 50, result: { kind: 'done', value: { id: 'x' } } }
const command = { kind: 'config-set', key: 'vm.shutdown-timeout-s', value: 5 } as const

let clock: ManualClock
let status: ReplicaStatus
let cluster: ReturnType<typeof raftCluster>
/** What the leader that is asked over the mesh answers, one after the other; the last one for ever. */
let answers: (() => Promise<ProposeReply>)[]
let asked: string[]
let superseded: Superseded | null
const applied = emitter<number>()
const statuses = emitter<ReplicaStatus>()

function become(changes: Partial<ReplicaStatus>): void {
  status = { ...status, ...changes }
  statuses.emit(status)
}

beforeEach(() => {
  clock = manualClock()
  const { now } = aMesh({ hosts: 3 })
  const conf = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false }
  status = {
    id: 1,
    role: 'follower',
    term: 3,
    leader: 2,
    commitIndex: now.index,
    appliedIndex: now.index,
    lastIndex: now.index,
    lastTerm: 3,
    firstIndex: 1,
    conf,
    progress: new Map(),
    leading: false,
  }
  const machine = inventoryMachine()
  restoreWhole(machine, { meta: { index: now.index, term: 3, conf }, values: toRows(now) })
  answers = [() => Promise.resolve(DONE)]
  asked = []
  superseded = null
  const answer = (): Promise<ProposeReply> =>
    (answers.length > 1 ? answers.shift() : answers[0])?.() ?? Promise.reject(new Error('no answer'))
  const replica: RaftClusterOptions['replica'] = {
    status: () => status,
    readIndex: () => Promise.resolve(status.appliedIndex),
    onStatus: (listener) => statuses.on(listener),
    onApplied: (listener) => applied.on(listener),
  }
  cluster = raftCluster({
    self: hostId('h1'),
    clock,
    log: silentLog,
    machine,
    generations: { superseded: () => superseded },
    members: members(() => machine.inventory(), new Map<NodeId, never>()),
    replica,
    mesh: {
      request(host, _method, _body, { signal = new AbortController().signal }) {
        asked.push(host)
        return abortable(answer(), signal)
      },
    },
    desk: {
      accept() {
        asked.push('itself')
        return answer()
      },
      decide: () => Promise.resolve(DONE.result),
      handOver: () => Promise.resolve(),
      leaving: new Leaving(clock, replica),
    },
  })
})

/** Proposes with a deadline of 10 s and lets time pass: the answer, or the code of the error and how sure it is. */
async function propose(meanwhile: () => void = () => undefined): Promise<CommandResult | string> {
  const limit = deadline(clock, 10_000, 'the proposal')
  const outcome = cluster.propose(command, { signal: limit.signal, actor: 'admin@h1' }).catch((error: unknown) => {
    if (!(error instanceof OperationError)) throw error
    const { kind } = error.data
    return typeof kind === 'string' ? `${error.code} ${kind}` : error.code
  })
  await clock.run(1)
  meanwhile()
  return clock.settle(outcome, 20_000)
}

const apply = (): void => {
  become({ appliedIndex: 50 })
  applied.emit(50)
}
const fails = (code: 'unreachable' | 'no-quorum' | 'timeout' | 'conflict' | 'forbidden', data: object) => () =>
  Promise.reject(new OperationError(code, 'failed', { data: { ...data } }))

describe('a proposal', () => {
  it('goes to the leader, and ends when this host has applied it', async () => {
    let early = true
    const outcome = propose(() => {
      expect(asked).toEqual(['h2'])
      early = false
      apply()
    })
    expect(await outcome).toEqual(DONE.result)
    expect(early).toBe(false)
  })

  it('is not done for its asker before this host has applied it', async () => {
    expect(await propose()).toBe('timeout unknown')
  })

  it('stays here when this host leads', async () => {
    become({ role: 'leader', leader: 1, leading: true })
    expect(await propose(apply)).toEqual(DONE.result)
    expect(asked).toEqual(['itself'])
  })

  it('follows the leadership to another host', async () => {
    answers = [fails('unreachable', { kind: 'not-leader' }), () => Promise.resolve(DONE)]
    expect(
      await propose(() => {
        become({ leader: 3 })
        apply()
      }),
    ).toEqual(DONE.result)
    expect(asked).toEqual(['h2', 'h3'])
  })

  it('does not wait for a leader that fell silent once another is known', async () => {
    answers = [() => new Promise<never>(() => undefined), () => Promise.resolve(DONE)]
    const before = clock.now()
    expect(
      await propose(() => {
        become({ leader: NOBODY })
        become({ leader: 3 })
        apply()
      }),
    ).toEqual(DONE.result)
    expect(asked).toEqual(['h2', 'h3'])
    expect(clock.now() - before).toBeLessThan(1_000)
  })

  it('waits for an election, and fails as not done when there is none for 3 s', async () => {
    become({ leader: NOBODY })
    expect(await propose(() => become({ leader: 3, appliedIndex: 50 }))).toEqual(DONE.result)
    become({ leader: NOBODY })
    const before = clock.now()
    expect(await propose()).toBe('no-quorum')
    expect(clock.now() - before).toBeGreaterThanOrEqual(3_000)
    expect(asked).toEqual(['h3'])
  })

  it('is made to nobody any more once the member has stopped, and its outcome stays open', async () => {
    answers = [fails('unreachable', {})]
    expect(await propose(() => cluster.stop())).toBe('timeout')
    const before = asked.length
    await clock.run(10_000)
    expect(asked).toHaveLength(before)
  })

  it('fails at once where asking again cannot help', async () => {
    answers = [fails('forbidden', {})]
    expect(await propose()).toBe('forbidden')
    expect(asked).toHaveLength(1)
  })
})

describe('a deadline', () => {
  it.each([
    ['the request never left', fails('unreachable', { sent: false }), 'no-quorum'],
    ['the leader was none', fails('unreachable', { kind: 'not-leader' }), 'no-quorum'],
    ['the entry was overwritten', fails('conflict', { kind: 'lost' }), 'no-quorum'],
    ['the leader gave up before it proposed', fails('timeout', { kind: 'not-done' }), 'no-quorum'],
    ['the request had left', fails('unreachable', { sent: true }), 'timeout unknown'],
    ['the leader lost its office meanwhile', fails('timeout', { kind: 'unknown' }), 'timeout unknown'],
    ['the leader did not answer', fails('timeout', {}), 'timeout unknown'],
  ])('says what is known when %s', async (_, answer, expected) => {
    answers = [answer]
    expect(await propose()).toBe(expected)
  })

  it('stays unknown once one try may have been committed, whatever the others say', async () => {
    answers = [fails('unreachable', { sent: true }), fails('unreachable', { sent: false })]
    expect(await propose()).toBe('timeout unknown')
  })
})

describe('leadership', () => {
  it('is announced with its term once an entry of it is applied, and its end once', () => {
    const heard: (number | null)[] = []
    cluster.onLeading((term) => heard.push(term))
    become({ role: 'leader', leader: 1, term: 4 })
    expect(heard).toEqual([])
    become({ leading: true })
    become({ appliedIndex: 51 })
    become({ role: 'follower', leader: 2, term: 5, leading: false })
    become({ leader: 3 })
    expect(heard).toEqual([4, null])
  })

  it('of another term ends the one before', () => {
    const heard: (number | null)[] = []
    cluster.onLeading((term) => heard.push(term))
    become({ role: 'leader', leader: 1, term: 4, leading: true })
    become({ term: 6 })
    expect(heard).toEqual([4, 6])
  })
})

describe('the status', () => {
  it('says how long nobody has led', async () => {
    become({ leader: NOBODY })
    await clock.run(1_500)
    expect(cluster.status()).toMatchObject({ quorum: 'lost', leader: null, staleMs: 1_500 })
    become({ leader: 2 })
    expect(cluster.status()).toMatchObject({ quorum: 'ok', leader: 'h2', staleMs: null })
  })

  it('knows each member by its host and role', () => {
    const roles = Object.fromEntries(cluster.status().members.map(({ host, role }) => [host, role]))
    expect(roles).toEqual({ h1: 'voter', h2: 'leader', h3: 'voter' })
  })
})
