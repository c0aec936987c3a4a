// Every host answers everything: VMs made, run, watched, typed to and deleted through whichever host is at hand.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer } from '../../src/api/contract.ts'
import { DISK_BOOT_LINE } from '../fixture/guest/boot-sector.ts'
import { diskFile, kernelGuest, makeBootable } from '../lab/guests.ts'
import { type Lab, labUnavailable } from '../lab/lab.ts'
import { bootsNow, consoleLog, consoleSays, vmBecomes, vmOf } from '../lab/look.ts'
import { formMesh, type MeshHost, type MeshLab, startMeshLab } from '../lab/mesh-lab.ts'
import { pause, waitFor } from '../lab/wait-for.ts'

const unavailable = labUnavailable()
type Vms = Answer<'vmList'>

describe.skipIf(unavailable !== undefined)(`through any host${unavailable === undefined ? '' : ` (${unavailable})`}`, () => {
  let lab: MeshLab & { readonly lab: Lab }
  let h1: MeshHost
  let h2: MeshHost
  let h3: MeshHost

  beforeAll(async () => {
    lab = await startMeshLab(3)
    const [first, second, third] = lab.hosts
    if (first === undefined || second === undefined || third === undefined) throw new Error('three hosts wanted')
    ;[h1, h2, h3] = [first, second, third]
    // Nothing here needs more than the founder's vote.
    await formMesh(lab, 1)
  })
  afterAll(() => lab?.stop())

  it('a VM is created through one host, started through another, watched and typed to through the third', async () => {
    await h1.ok('vm', 'create', 'web', ...kernelGuest({ tickMs: 200 }))
    expect((await h2.json<Vms[number]>('vm', 'show', 'web')).state).toBe('off')
    await h2.ok('vm', 'start', 'web')
    await consoleSays(h3, 'web', /tick 3\r\n/)
    expect(await h3.ok('vm', 'console', 'web', '--log')).toMatch(/guest: ready\r\n[^]*tick 3\r\n/)
    const typed = await h3.cliWith({ input: 'hello there\n' }, 'vm', 'console', 'web', '--timeout', '4')
    expect(typed).toEqual({ code: 0, stdout: expect.stringContaining('echo: hello there\r\n'), stderr: '' })
  })

  it('the lists are the same on all hosts, to the byte, but for what is measured', async () => {
    const lists = ['vmList', 'hostList', 'datastoreList', 'diskList', 'tokenList', 'jobList', 'eventList', 'configList'] as const
    const through = async ({ api }: MeshHost): Promise<readonly string[]> => {
      const replies = await Promise.all(lists.map((list) => api.call(list, {}, { signal: AbortSignal.timeout(5_000) })))
      return replies.map(({ json }) => agreed(JSON.stringify(json)))
    }
    const same = async (): Promise<boolean> => {
      const [first, second, third] = await Promise.all([h1, h2, h3].map(through))
      expect([second, third]).toEqual([first, first])
      return true
    }
    await waitFor('the lists to be the same', same, { limitMs: 20_000 })
    const printed = await Promise.all([h1, h2, h3].map((host) => host.ok('vm', 'list', '-o', 'json')))
    expect(new Set(printed.map(agreed)).size).toBe(1)
  })

  it('a pause stops the guest, and only a resume lets it go on', async () => {
    await h1.ok('vm', 'pause', 'web')
    expect(await statesOf('web')).toEqual(['paused', 'paused', 'paused'])
    const before = await consoleLog(h2, 'web')
    await pause(1_000)
    expect(await consoleLog(h2, 'web')).toBe(before)
    await h3.ok('vm', 'resume', 'web')
    await waitFor('ticks after the resume', async () => (await consoleLog(h2, 'web')).length > before.length)
    expect(await statesOf('web')).toEqual(['running', 'running', 'running'])
  })

  it('a reboot boots the guest again in the same run, a stop and a start in the next', async () => {
    await h2.ok('vm', 'reboot', 'web')
    await bootsNow(h1, 'web')
    expect((await vmOf(h3, 'web')).owner?.epoch).toBe('1.1')
    await h3.ok('vm', 'stop', 'web')
    expect(await statesOf('web')).toEqual(['off', 'off', 'off'])
    await h1.ok('vm', 'start', 'web')
    expect(await vmOf(h2, 'web')).toMatchObject({ state: 'running', owner: { epoch: '1.2' } })
    await bootsNow(h1, 'web')
  })

  it('a guest that powers itself off is off and stays off', async () => {
    const { host } = present((await vmOf(h1, 'web')).owner)
    const owner = present(lab.hosts.find(({ name }) => name === host))
    await h2.cliWith({ input: 'poweroff\n' }, 'vm', 'console', 'web', '--timeout', '5')
    expect(await vmBecomes(h3, 'web', ({ state }) => state === 'off')).toMatchObject({ desired: 'off', owner: null })
    // Longer than a host takes between two looks at what it should run.
    await pause(3_000)
    expect(await statesOf('web')).toEqual(['off', 'off', 'off'])
    expect((await owner.host.exec(['pgrep', '-c', 'qemu-system'])).stdout.trim()).toBe('0')
  })

  it('disks of both formats boot, grow, and go with their VM, unless they are kept', async () => {
    for (const format of ['qcow2', 'raw']) {
      const name = `boot-${format}`
      await h1.ok('vm', 'create', name, '--vcpus', '1', '--memory', '64', '--disk', `shared/${name}:2M,format=${format}`)
      makeBootable(lab.datastore, name)
      await h2.ok('disk', 'resize', `shared/${name}`, '4M')
      const info: unknown = JSON.parse(
        execFileSync('qemu-img', ['info', '--output=json', diskFile(lab.datastore, name)], { encoding: 'utf8' }),
      )
      expect(info).toMatchObject({ format, 'virtual-size': 4 * 2 ** 20 })
      await h3.ok('vm', 'start', name)
      await consoleSays(h1, name, new RegExp(`${DISK_BOOT_LINE}\\r\\n`))
    }
    await expectRefusal(h2, ['vm', 'delete', 'boot-raw'], /boot-raw/)
    const [qcow2, raw] = [diskFile(lab.datastore, 'boot-qcow2'), diskFile(lab.datastore, 'boot-raw')]
    for (const name of ['boot-qcow2', 'boot-raw']) await h1.ok('vm', 'stop', name)
    await h2.ok('vm', 'delete', 'boot-qcow2')
    await h3.ok('vm', 'delete', 'boot-raw', '--keep-disks')
    await waitFor('the file of the deleted disk to go', () => !existsSync(qcow2))
    expect(existsSync(raw)).toBe(true)
    expect((await h1.json<Answer<'diskList'>>('disk', 'list')).map(({ name, vm }) => [name, vm])).toEqual([['boot-raw', null]])
  })

  it('what cannot be is refused with its reason, and nothing changes', async () => {
    const before = agreed(await h1.ok('vm', 'list', '-o', 'json'))
    await expectRefusal(h2, ['vm', 'create', 'web', ...kernelGuest({})], /web/)
    await expectRefusal(h3, ['vm', 'create', 'other', '--vcpus', '1', '--memory', '64', '--disk', 'nowhere/x:1M'], /nowhere/)
    await expectRefusal(h1, ['vm', 'create', 'other', '--vcpus', '1', '--memory', '64', '--kernel', 'shared/missing'], /shared\/missing/)
    await expectRefusal(h2, ['vm', 'pause', 'web'], /web/)
    expect((await h3.cli('vm', 'start', 'nobody')).code).toBe(4)
    expect(agreed(await h3.ok('vm', 'list', '-o', 'json'))).toBe(before)
  })

  it('a shutdown asks the guest, a deleted VM is gone from every list', async () => {
    await h3.ok('vm', 'start', 'web')
    await bootsNow(h3, 'web')
    await h1.ok('vm', 'shutdown', 'web')
    expect(await consoleLog(h2, 'web')).toMatch(/power button\r\n[^]*reboot: Power down/)
    await h2.ok('vm', 'delete', 'web')
    for (const each of lab.hosts) expect(await each.json<Vms>('vm', 'list')).toEqual([])
  })

  const statesOf = (vm: string): Promise<string[]> => Promise.all([h1, h2, h3].map(async (host) => (await vmOf(host, vm)).state))
})

/** Usage and uptime are measured and gossiped: each host has what it heard last. */
function agreed(list: string): string {
  return JSON.stringify(JSON.parse(list), (key, value: unknown) => (key === 'usage' || key === 'uptimeS' ? undefined : value))
}

async function expectRefusal(host: MeshHost, args: readonly string[], reason: RegExp): Promise<void> {
  const { code, stderr } = await host.cli(...args)
  expect([3, 4, 7], stderr).toContain(code)
  expect(stderr).toMatch(reason)
}

function present<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('it is not there')
  return value
}
