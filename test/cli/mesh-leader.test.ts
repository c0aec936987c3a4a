// Leadership handed over by command: what people and scripts are told, and what each refusal says.
import { describe, expect, it } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { fakeAgent, type FakeAgent, type FakeAgentWishes } from '../api/fake-agent.ts'
import { hostId } from '../fixture/inventory.ts'
import { hostmesh, type Outcome } from './cli-run.ts'

const run = (agent: FakeAgent, line: string): Promise<Outcome> => hostmesh(line.split(' '), { socketPath: agent.socketPath })

async function whoseTransferFails(error: OperationError): Promise<FakeAgent> {
  const agent = await fakeAgent()
  const changes: FakeAgentWishes['changes'] = { cluster: { ...agent.context.cluster, handOver: () => Promise.reject(error) } }
  return fakeAgent({ changes })
}

describe('`hostmesh mesh leader transfer`', () => {
  it('ends when the other host leads', async () => {
    const agent = await fakeAgent()
    expect(await run(agent, 'mesh leader transfer h2 --reason service')).toEqual({ code: 0, out: 'host h2 leads (term 2)\n', err: '' })
    expect(agent.mesh.of(hostId('h1')).status().leader).toBe('h2')
    expect((await run(agent, 'mesh leader')).out).toBe('h2\n')
  })

  it('tells scripts who leads, in which term, and how long it took', async () => {
    const agent = await fakeAgent()
    const { code, out } = await run(agent, 'mesh leader transfer h3 -o json')
    expect([code, JSON.parse(out)]).toEqual([
      0,
      { dryRun: false, plan: expect.any(Array), leader: { id: 'h3', name: 'h3' }, term: 2, tookMs: expect.any(Number) },
    ])
  })

  it('only checks and plans with --dry-run', async () => {
    const agent = await fakeAgent()
    const { code, out } = await run(agent, 'mesh leader transfer h2 --dry-run')
    expect([code, out.split('\n')]).toEqual([
      0,
      [
        'plan:',
        '  - h1 stops taking proposals and completes the log of h2',
        '  - h2 calls an election at once and leads',
        'nothing was changed (--dry-run)',
        '',
      ],
    ])
    expect(agent.mesh.of(hostId('h1')).status().leader).toBe('h1')
  })

  it('refuses a host that leads already, and one that there is not', async () => {
    const agent = await fakeAgent()
    expect(await run(agent, 'mesh leader transfer h1')).toMatchObject({ code: 3, err: expect.stringContaining('leads already') })
    expect(await run(agent, 'mesh leader transfer h9')).toMatchObject({ code: 4 })
  })

  it('that was not done is a time-out, and says who leads', async () => {
    const agent = await whoseTransferFails(new OperationError('timeout', 'host h2 did not take over: h3 leads'))
    expect(await run(agent, 'mesh leader transfer h2')).toMatchObject({ code: 6, err: expect.stringContaining('h3 leads') })
  })

  it('has no leader to ask without a quorum', async () => {
    const agent = await whoseTransferFails(new OperationError('no-quorum', 'no leader is known'))
    expect(await run(agent, 'mesh leader transfer h2')).toMatchObject({ code: 5 })
  })
})
