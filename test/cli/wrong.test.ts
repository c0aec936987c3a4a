// Wrong invocations and requests: what the user sees, the exit code, and that nothing changed.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { aMeshWithRunningVm, datastoreId, diskId, hostId, jobId } from '../fixture/inventory.ts'
import { fakeAgent } from '../api/fake-agent.ts'
import { rawRequest } from '../api/raw-http.ts'
import { hostmesh } from './cli-run.ts'

function inventory() {
  const log = aMeshWithRunningVm({ datastores: ['images'], facts: { memoryMiB: 8192 } })
  const place = { datastore: datastoreId('images'), host: hostId('h1'), job: jobId('make') }
  log.do({ kind: 'disk-create', id: diskId('d1'), name: 'data', ...place, format: 'raw', sizeBytes: 1024 ** 3 })
  log.do({ kind: 'disk-done', host: hostId('h1'), disk: diskId('d1'), sizeBytes: 1024 ** 3 })
  return log.now
}

const VM = 'vm create new --vcpus 1 --memory 256'

/** Words, exit code, and what must stand in the message. */
const WRONG: readonly (readonly [string, number, string])[] = [
  ['vmm list', 2, 'there is no command "vmm"; did you mean vm?'],
  ['vm strat web', 2, 'there is no command "strat"; did you mean start?'],
  ['frobnicate', 2, 'there is no command "frobnicate"'],
  ['vm start', 2, 'NAME is missing'],
  ['vm start web db', 2, '"db" is one argument too many'],
  ['vm list --otput json', 2, 'there is no flag --otput; did you mean --output?'],
  ['vm list -o yaml', 2, '--output is "yaml", it must be table, json'],
  ['vm stop web --timeout soon', 2, '--timeout: "soon" is not a number of seconds'],
  ['vm create new --memory 256', 2, '--vcpus is missing'],
  ['vm create new --vcpus two --memory 256', 2, '--vcpus: "two" is not a positive whole number'],
  ['vm create new --vcpus 1 --memory lots', 2, '--memory: size "lots"'],
  [`${VM} --disk images/new:tenG`, 2, '--disk: size "tenG"'],
  [`${VM} --disk root`, 2, '--disk: disk "root" is not DATASTORE/NAME[:SIZE]'],
  [`${VM} --append quiet`, 2, '--append belongs to a direct boot'],
  [`${VM} --priority 4`, 2, '--priority is "4", it must be 1, 2, 3'],
  ['disk create data --size 1G', 2, '"data" is not DATASTORE/NAME'],
  ['token create --ttl forever', 2, '--ttl: duration "forever"'],
  ['host set h2 --label rack', 2, '--label: label "rack" is not KEY=VALUE'],
  ['agent --listen h1.example:7400', 2, '--listen: address h1.example:7400 is not IP:PORT; names are never resolved'],
  ['vm list --host example.org:80', 2, '--host example.org:80 is not IP:PORT; names are never resolved'],
  ['vm list --socket a --host 192.0.2.1:1', 2, '--socket and --host each name an agent'],
  ['vm create Web_1 --vcpus 1 --memory 256', 3, 'name: VM name "Web_1" must be'],
  ['vm create web --vcpus 1 --memory 256', 3, 'name-taken: a vm named "web" exists already'],
  ['vm create big --vcpus 1 --memory 1T', 3, 'memory: big needs 1048576 MiB, h1 has 7680 MiB left'],
  ['vm create wide --vcpus 64 --memory 256', 3, 'vcpus: wide needs 64 vCPUs, h1 has 4 cores'],
  [`${VM} --kernel images/nope`, 3, 'file-missing: kernel file images/nope does not exist'],
  [`${VM} --kernel /boot/vmlinuz`, 3, 'file: kernel "/boot/vmlinuz" is not DATASTORE/relative/path'],
  [`${VM} --disk images/data:1G`, 3, 'name-taken: datastore images has a disk "data" already'],
  [`${VM} --disk images/tiny:1K`, 3, 'disk-size: disk tiny must have'],
  [`${VM} --disk tape/root:1G`, 4, 'there is no datastore "tape"\n  - not-found: there are: images\n    mend: hostmesh datastore list'],
  [`${VM} --disk images/nope`, 4, 'there is no disk "nope" on datastore images'],
  ['vm start nope', 4, 'there is no vm "nope"\n  - not-found: there are: web'],
  ['vm delete web', 3, 'vm-state: VM web is running, vm delete needs it off\n    mend: hostmesh vm stop web'],
  ['vm set web --memory 512', 3, 'vm-state: VM web is running'],
  ['vm set web', 3, 'nothing-to-change: no change was named'],
  ['vm resume nope', 4, 'there is no vm "nope"'],
  ['disk resize images/data 1M', 3, 'disk-shrink: disk data has 1073741824 bytes, 1048576 would cut off data'],
  ['datastore remove images', 3, 'datastore-used: datastore images holds disk data'],
  ['datastore add more srv/vms', 3, 'path: path "srv/vms" must be absolute'],
  ['host remove h1', 3, 'host-owns-vm: host h1 runs VM web'],
  ['host show h7', 4, 'there is no host "h7"'],
  ['config set vm.shutdown-timeout-s soon', 3, 'setting vm.shutdown-timeout-s must be a whole number from 1 to 3600, found "soon"'],
  ['config set no.such.thing 1', 4, 'there is no setting "no.such.thing"'],
  ['job cancel make', 3, 'job-ended: job make has ended: done'],
  ['job wait nope', 4, 'there is no job "nope"'],
  ['token revoke nope', 4, 'there is no token "nope"'],
  ['why-not vm web h7', 4, 'there is no host "h7"'],
  ['init --name again', 7, 'this host belongs to mesh lab already'],
  ['join hm1.x', 7, 'this host belongs to mesh lab already'],
]

describe('a wrong invocation', () => {
  it.each(WRONG)('hostmesh %s ends with %i: %s', async (line, code, message) => {
    const agent = await fakeAgent({ inventory: inventory() })
    const before = agent.mesh.inventory()
    const named = line.includes('--socket') || line.includes('--host')
    const outcome = await hostmesh(line.split(' '), named ? {} : { socketPath: agent.socketPath })
    expect([outcome.code, outcome.out]).toEqual([code, ''])
    expect(outcome.err).toContain(message)
    expect(outcome.err).toMatch(/^error: /)
    expect(outcome.err).not.toMatch(/\bat .*\.ts:\d+|undefined|\[object/)
    expect(agent.mesh.inventory()).toBe(before)
  })

  it.each(['vm start nope', 'vmm list', 'vm list -o json --nope', VM])('tells scripts the same as JSON: %s', async (line) => {
    const agent = await fakeAgent({ inventory: inventory() })
    agent.mesh.lead(null)
    const words = line === VM ? ['vm', 'show', 'nope'] : line.split(' ')
    const { err } = await hostmesh([...words, '-o', 'json'], { socketPath: agent.socketPath })
    const json: unknown = JSON.parse(err.split('\n').find((text) => text.startsWith('{')) ?? '')
    expect(json).toEqual({
      error: { code: expect.any(String), message: expect.any(String), data: expect.any(Object), reasons: expect.any(Array) },
    })
  })
})

describe('an agent that cannot be used', () => {
  it('is not running: the command that starts it is named', async () => {
    const { code, err } = await hostmesh(['vm', 'list'], { socketPath: '/nonexistent/hostmesh.sock' })
    expect(code).toBe(1)
    expect(err).toBe(
      [
        'error: no agent answers at the socket /nonexistent/hostmesh.sock',
        '  - agent-not-running: the socket does not exist',
        '    mend: hostmesh agent --listen IP:PORT --socket /nonexistent/hostmesh.sock, or name another agent with --socket PATH or --host URL',
        '',
      ].join('\n'),
    )
  })

  it.each([
    ['without a token', undefined, 'the request carries no token'],
    ['with a wrong token', 'wrong', 'the token of the request is wrong'],
  ])('wants its token: %s', async (_, token, message) => {
    const agent = await fakeAgent({ tcp: true })
    const env = token === undefined ? {} : { HOSTMESH_API_TOKEN: token }
    const { code, err } = await hostmesh(['vm', 'list', '--host', `http://127.0.0.1:${agent.port}`], { env })
    expect(code).toBe(3)
    expect(err).toContain(message)
    expect(err).toContain('mend: set HOSTMESH_API_TOKEN')
  })

  it('lets the right token in', async () => {
    const agent = await fakeAgent({ tcp: true })
    const env = { HOSTMESH_API_TOKEN: (await readFile(join(agent.directory, 'api-token'), 'utf8')).trim() }
    expect(await hostmesh(['mesh', 'leader', '--host', `http://127.0.0.1:${agent.port}`], { env })).toEqual({
      code: 0,
      out: 'h1\n',
      err: '',
    })
  })
})

describe('a wrong request', () => {
  it.each([
    ['malformed JSON', 400, 'usage', { body: '{"name": web}' }],
    ['a body without end', 413, 'too-large', { body: `"${'x'.repeat(1024 ** 2)}"` }],
    ['a field that nobody knows', 400, 'usage', { body: '{"name":"a","vcpus":1,"memoryMiB":64,"vcpu":1}' }],
    ['a field of another type', 400, 'usage', { body: '{"name":"a","vcpus":"1","memoryMiB":64}' }],
    ['a number beyond all', 400, 'usage', { body: '{"name":"a","vcpus":1e300,"memoryMiB":64}' }],
    ['nothing', 400, 'usage', { body: '' }],
  ])('with %s is answered with %i %s and changes nothing', async (_, status, code, options) => {
    const agent = await fakeAgent({ inventory: inventory() })
    const before = agent.mesh.inventory()
    const answer = await rawRequest({ socketPath: agent.socketPath, path: '/v1/vms', method: 'POST' }, options)
    expect([answer.status, answer.json]).toEqual([status, expect.objectContaining({ code })])
    expect(agent.mesh.inventory()).toBe(before)
  })
})
