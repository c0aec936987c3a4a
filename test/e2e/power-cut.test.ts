// The power of all hosts fails at once and comes back: the mesh knows all that it knew, and starts once what was wanted on.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DISK_BOOT_LINE } from '../fixture/guest/boot-sector.ts'
import { createDiskGuest } from '../lab/guests.ts'
import { type Lab, labUnavailable } from '../lab/lab.ts'
import { consoleSays, consoleSaysNext, guestPids, startsNoted, vmBecomes, vmOf, wholeMesh } from '../lab/look.ts'
import { formMesh, type MeshHost, type MeshLab, startMeshLab, votersAre } from '../lab/mesh-lab.ts'

const unavailable = labUnavailable()

describe.skipIf(unavailable !== undefined)(`when all power fails${unavailable === undefined ? '' : ` (${unavailable})`}`, () => {
  let lab: MeshLab & { readonly lab: Lab }
  let hosts: readonly MeshHost[]
  let h1: MeshHost
  let before: readonly string[]

  beforeAll(async () => {
    lab = await startMeshLab(3)
    hosts = lab.hosts
    const [first] = hosts
    if (first === undefined) throw new Error('three hosts wanted')
    h1 = first
    await formMesh(lab, 1)
    for (const name of ['one', 'two', 'off', 'paused']) await createDiskGuest(h1, lab, name)
    for (const name of ['one', 'two', 'paused']) {
      await h1.ok('vm', 'start', name)
      await consoleSays(h1, name, new RegExp(DISK_BOOT_LINE))
    }
    await h1.ok('vm', 'pause', 'paused')
    await votersAre(h1, 3)
    before = await whatIsKnown(h1)

    await Promise.all(hosts.map((host) => host.host.poweroff()))
    await Promise.all(hosts.map((host) => host.powerOn()))
    for (const host of hosts) await wholeMesh(host)
  })
  afterAll(() => lab?.stop())

  it('every host knows what it knew', async () => {
    for (const host of hosts) expect(await whatIsKnown(host)).toEqual(before)
  })

  it('what was wanted on runs again, each in one place, in its second epoch', async () => {
    for (const name of ['one', 'two']) {
      const vm = await vmBecomes(h1, name, ({ state, owner }) => state === 'running' && owner?.epoch === '1.2')
      await consoleSaysNext(h1, name, new RegExp(DISK_BOOT_LINE))
      expect(vm.fault).toBeNull()
    }
    await vmBecomes(h1, 'paused', ({ state, owner }) => state === 'paused' && owner?.epoch === '1.2')
    const running = (await Promise.all(hosts.map(guestPids))).flatMap((guests) => [...guests.keys()])
    expect(running.toSorted()).toEqual(['one', 'paused', 'two'])
  })

  it('no ledger holds a start of one epoch twice, and what was off stays off', async () => {
    const starts = hosts.flatMap(startsNoted)
    expect(new Set(starts).size, starts.join(', ')).toBe(starts.length)
    for (const name of ['one', 'two', 'paused']) expect(starts).toContain(`${(await vmOf(h1, name)).id} 1.2`)
    expect(await vmOf(h1, 'off')).toMatchObject({ state: 'off', owner: null })
  })
})

/** Everything that people decided; not where VMs run, which changes with the power. */
async function whatIsKnown(host: MeshHost): Promise<readonly string[]> {
  const transient = new Set(['usage', 'uptimeS', 'owner', 'state', 'raft', 'vms', 'fault'])
  return Promise.all(
    (['hostList', 'vmList', 'datastoreList', 'diskList', 'tokenList', 'configList'] as const).map(async (list) =>
      JSON.stringify((await host.api.call(list, {}, { signal: AbortSignal.timeout(5_000) })).json, (key, value: unknown) =>
        transient.has(key) ? undefined : value,
      ),
    ),
  )
}
