// The driver over the real core: three members in virtual time.
import { expect, test } from 'vitest'
import { ReplicaGroup } from '../fixture/replica-group.ts'
import { command } from '../fixture/text-machine.ts'

test('three members elect a leader, commit a proposal and apply it everywhere', async () => {
  const group = await ReplicaGroup.of([1, 2, 3])
  const leader = await group.leader()
  const done = await group.clock.settle(leader.replica.propose(command('set a 1'), {}), 1000)
  expect(done.result).toBeUndefined()
  await group.level()
  for (const member of group.members.values()) expect([...member.machine.values]).toEqual([['a', '1']])
  const again = await group.clock.settle(leader.replica.propose(command('set a 2'), {}), 1000)
  expect(again.result).toBe('1')
  await group.stop()
})
