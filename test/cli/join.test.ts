// Becoming part of a mesh: what the two commands of the first minute print.
import { describe, expect, it } from 'vitest'
import { type ApiContext } from '../../src/api/context.ts'
import { OperationError, refusal } from '../../src/base/errors.ts'
import { fakeAgent } from '../api/fake-agent.ts'
import { fakeLifecycle } from '../fixture/fake-lifecycle.ts'
import { hostmesh } from './cli-run.ts'

describe('init', () => {
  it('begins the mesh and prints the command for the others', async () => {
    const agent = await fakeAgent({ changes: { lifecycle: fakeLifecycle({}) } })
    expect(await hostmesh(['init', '--name', 'lab'], { socketPath: agent.socketPath })).toEqual({
      code: 0,
      out: 'mesh lab begins with host h1\n\non each other host, with its agent running:\n  hostmesh join hm1.secret-1\n',
      err: '',
    })
  })

  it('tells scripts the token', async () => {
    const agent = await fakeAgent({ changes: { lifecycle: fakeLifecycle({}) } })
    const { out } = await hostmesh(['init', '--name', 'lab', '-o', 'json'], { socketPath: agent.socketPath })
    expect(JSON.parse(out)).toEqual({
      mesh: { id: 'mesh1', name: 'lab' },
      host: { id: 'h1', name: 'h1' },
      join: { command: 'hostmesh join hm1.secret-1', token: 'hm1.secret-1' },
    })
  })

  it('needs a name', async () => {
    const agent = await fakeAgent()
    expect(await hostmesh(['init'], { socketPath: agent.socketPath })).toMatchObject({
      code: 2,
      err: expect.stringContaining('--name is missing'),
    })
  })
})

describe('join', () => {
  it('ends when the host is a member, and says which mesh it is', async () => {
    const asked: unknown[] = []
    const join: ApiContext['lifecycle']['join'] = ({ token, role }) => Promise.resolve(void asked.push([token, role]))
    const agent = await fakeAgent({ changes: { lifecycle: fakeLifecycle({ join }) } })
    expect(await hostmesh(['join', 'hm1.abc', '--role', 'witness'], { socketPath: agent.socketPath })).toEqual({
      code: 0,
      out: 'host h1 is a member of mesh lab\n',
      err: '',
    })
    const json = await hostmesh(['join', 'hm1.abc', '-o', 'json'], { socketPath: agent.socketPath })
    expect(JSON.parse(json.out)).toEqual({ mesh: { id: 'mesh1', name: 'lab' }, host: { id: 'h1', name: 'h1' } })
    expect(asked).toEqual([
      ['hm1.abc', 'witness'],
      ['hm1.abc', null],
    ])
  })

  it('shows its steps on a terminal', async () => {
    const join: ApiContext['lifecycle']['join'] = ({ progress }) => {
      progress('asking an inviter')
      progress('catching up')
      return Promise.resolve()
    }
    const agent = await fakeAgent({ changes: { lifecycle: fakeLifecycle({ join }) } })
    const { err } = await hostmesh(['join', 'hm1.abc'], { socketPath: agent.socketPath, terminal: true })
    expect(err).toContain('join: asking an inviter')
    expect(err).toContain('join: catching up')
  })

  it('fails with the reason of the refusal', async () => {
    const reasons = [{ code: 'token-expired', message: 'token t1 expired at noon', fix: 'hostmesh token create' }]
    const join: ApiContext['lifecycle']['join'] = () => Promise.reject(refusal('the host was not let in', reasons))
    const agent = await fakeAgent({ changes: { lifecycle: fakeLifecycle({ join }) } })
    expect(await hostmesh(['join', 'hm1.abc'], { socketPath: agent.socketPath })).toEqual({
      code: 3,
      out: '',
      err: 'error: the host was not let in\n  - token-expired: token t1 expired at noon\n    mend: hostmesh token create\n',
    })
  })

  it('that the agent did not live to finish says that it may be run again', async () => {
    const join: ApiContext['lifecycle']['join'] = (_, signal) =>
      new Promise((__, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    const agent = await fakeAgent({ changes: { lifecycle: fakeLifecycle({ join }) } })
    const running = hostmesh(['join', 'hm1.abc'], { socketPath: agent.socketPath })
    await agent.stop()
    expect((await running).code).toBe(1)
  })

  it('is ended by --timeout, on the agent too', async () => {
    let ended = false
    const join: ApiContext['lifecycle']['join'] = (_, signal) =>
      new Promise((__, reject) =>
        signal.addEventListener('abort', () => {
          ended = true
          reject(new OperationError('timeout', 'ended'))
        }),
      )
    const agent = await fakeAgent({ changes: { lifecycle: fakeLifecycle({ join }) } })
    expect((await hostmesh(['join', 'hm1.abc', '--timeout', '0.2'], { socketPath: agent.socketPath })).code).toBe(6)
    const { waitFor } = await import('../lab/wait-for.ts')
    await waitFor('the join to be ended', () => ended)
  })
})
