// The group of real processes that benches and linearizability runs stand on: it serves, says what is not known, and survives kill -9.
import { expect, it, onTestFinished } from 'vitest'
import { KvClient } from '../fixture/kv-client.ts'
import { RaftProcesses } from '../fixture/raft-processes.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

const text = (value: string): Buffer => Buffer.from(value)

it('three processes agree, answer a compare-and-set with what they found, and go on when the leader is killed', async () => {
  const group = await RaftProcesses.start({ directory: await temporaryDirectory() })
  onTestFinished(() => group.stop())
  const leader = await group.leader()
  const client = await KvClient.connect(leader.clients)
  expect(await client.cas('a', text('1'), text('2'))).toEqual({ kind: 'absent' })
  expect((await client.put('a', text('1'))).kind).toBe('ok')
  expect(await client.cas('a', text('0'), text('2'))).toEqual({ kind: 'mismatch', value: text('1') })
  expect((await client.cas('a', text('1'), text('2'))).kind).toBe('ok')
  expect(await client.cas('a', undefined, text('3'))).toEqual({ kind: 'mismatch', value: text('2') })
  const others = group.nodes.filter((node) => node !== leader)
  for (const { clients } of others) {
    const follower = await KvClient.connect(clients)
    expect(await follower.get('a')).toEqual({ kind: 'ok', value: text('2') })
    expect((await follower.put('a', text('4'))).kind).toBe('refused')
    follower.close()
  }
  const both = others.map(({ id }) => id)
  for (const id of both) await group.signal(id, 'SIGKILL')
  const lost = client.put('a', text('5'))
  await group.signal(leader.id, 'SIGKILL')
  expect((await lost).kind).toBe('unknown')
  for (const id of both) await group.start(id)
  const second = await KvClient.connect((await group.leader()).clients)
  expect(await second.get('a')).toEqual({ kind: 'ok', value: text('2') })
  second.close()
}, 30_000)
