// What whoever asks for a hand-over of leadership is told.
import { describe, expect, it } from 'vitest'
import { type Member, ReplicaGroup } from '../fixture/replica-group.ts'

const never = new AbortController().signal

async function threeWithLeader(): Promise<{
  readonly group: ReplicaGroup
  readonly leader: Member
  readonly target: Member
  readonly third: Member
}> {
  const group = await ReplicaGroup.of([1, 2, 3])
  const leader = await group.leader()
  await group.level()
  const [target, third] = [...group.members.values()].filter(({ id }) => id !== leader.id)
  if (target === undefined || third === undefined) throw new Error('three members wanted')
  return { group, leader, target, third }
}

/** Undefined once done, else the error. */
async function outcome(group: ReplicaGroup, handOver: Promise<void>, limitMs = 3_000): Promise<unknown> {
  return group.clock.settle(
    handOver.then(
      () => undefined,
      (error: unknown) => error,
    ),
    limitMs,
  )
}

describe('a hand-over of leadership', () => {
  it('is done once the target is known to lead', async () => {
    const { group, leader, target } = await threeWithLeader()
    const handOver = leader.replica.transferLeadership(target.id, { signal: never })
    let early = true
    const off = leader.replica.onStatus((status) => {
      if (status.leader === target.id) early = false
    })
    expect(await outcome(group, handOver)).toBeUndefined()
    expect([early, leader.replica.status()]).toEqual([false, expect.objectContaining({ role: 'follower', leader: target.id })])
    off()
    await group.stop()
  })

  it('is done, too, with a target that lacks entries: they are sent first', async () => {
    const { group, leader, target } = await threeWithLeader()
    group.deliver = ({ kind, to }) => kind !== 'append' || to !== target.id
    await group.commit('set a 1')
    group.deliver = () => true
    expect(await outcome(group, leader.replica.transferLeadership(target.id, { signal: never }))).toBeUndefined()
    expect(target.machine.values.get('a')).toBe('1')
    await group.stop()
  })

  it('is given up after an election time-out: the leader goes on, and takes proposals again', async () => {
    const { group, leader, target } = await threeWithLeader()
    group.deliver = ({ kind }) => kind !== 'timeout-now'
    const handOver = leader.replica.transferLeadership(target.id, { signal: never })
    expect(await outcome(group, handOver, 1_100)).toMatchObject({ code: 'timeout', data: { kind: 'not-done', leader: leader.id } })
    await group.commit('set a 1')
    expect(leader.replica.status().role).toBe('leader')
    await group.stop()
  })

  it('that another member wins instead is not done, and says who leads', async () => {
    const { group, leader, target, third } = await threeWithLeader()
    // The target hears that it should lead, but nobody hears its call; the third takes its chance.
    group.deliver = ({ kind, from }) => !(from === target.id && (kind === 'vote' || kind === 'pre-vote')) && kind !== 'heartbeat'
    const handOver = leader.replica.transferLeadership(target.id, { signal: never })
    await group.clock.run(20)
    group.deliver = ({ from, to }) => from !== target.id && to !== target.id
    leader.replica.connectionLost(target.id)
    third.replica.connectionLost(leader.id)
    const error = await outcome(group, handOver, 5_000)
    expect(error).toMatchObject({ code: 'timeout', data: { kind: 'not-done' } })
    await group.stop()
  })

  it.each([
    ['itself', 0, 'leads-already'],
    ['a stranger', 99, 'no-voter'],
  ])('to %s is refused at once', async (_, id, kind) => {
    const { group, leader } = await threeWithLeader()
    const handOver = leader.replica.transferLeadership(id === 0 ? leader.id : id, { signal: never })
    expect(await outcome(group, handOver, 100)).toMatchObject({ code: 'conflict', data: { kind, leader: leader.id } })
    await group.stop()
  })

  it('asked of a follower is refused, with the leader to ask', async () => {
    const { group, leader, target, third } = await threeWithLeader()
    const handOver = target.replica.transferLeadership(third.id, { signal: never })
    expect(await outcome(group, handOver, 100)).toMatchObject({ code: 'unreachable', data: { kind: 'not-leader', leader: leader.id } })
    await group.stop()
  })

  it('ends for a caller that stops waiting, and for one whose member stops', async () => {
    const { group, leader, target } = await threeWithLeader()
    group.deliver = ({ kind }) => kind !== 'timeout-now'
    const impatient = new AbortController()
    const left = leader.replica.transferLeadership(target.id, { signal: impatient.signal })
    impatient.abort(new Error('enough'))
    expect(await outcome(group, left, 10)).toMatchObject({ message: 'enough' })
    const handOver = outcome(group, leader.replica.transferLeadership(target.id, { signal: never }))
    await group.stop()
    expect(await handOver).toMatchObject({ code: 'no-quorum', data: { kind: 'stopped' } })
  })
})
