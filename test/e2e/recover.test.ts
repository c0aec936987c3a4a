// Two of three hosts are lost for good: the third goes on, its guest notices nothing; the two come back, are refused, and come in again.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compareText } from '../../src/inventory/view.ts'
import { DISK_BOOT_LINE } from '../fixture/guest/boot-sector.ts'
import { createDiskGuest } from '../lab/guests.ts'
import { type Lab, labUnavailable } from '../lab/lab.ts'
import { consoleSays, guestPids, leadership, leftBehind, startsNoted, statusOf, vmOf, wholeMesh } from '../lab/look.ts'
import { formMesh, type MeshHost, type MeshLab, startMeshLab, votersAre } from '../lab/mesh-lab.ts'
import { waitFor } from '../lab/wait-for.ts'

const unavailable = labUnavailable()
const NAMES = ['one', 'two', 'three']

describe.skipIf(unavailable !== undefined)(`a majority lost for good${unavailable === undefined ? '' : ` (${unavailable})`}`, () => {
  let lab: MeshLab & { readonly lab: Lab }
  let h1: MeshHost
  let h2: MeshHost
  let h3: MeshHost
  /** Of the guest of h3. */
  let pids: ReadonlyMap<string, number>
  let digest = ''

  beforeAll(async () => {
    lab = await startMeshLab(3)
    const [first, second, third] = lab.hosts
    if (first === undefined || second === undefined || third === undefined) throw new Error('three hosts wanted')
    h1 = first
    h2 = second
    h3 = third
    await formMesh(lab, 1)
    for (const name of NAMES) await createDiskGuest(h1, lab, name)
    for (const name of NAMES) await h1.ok('vm', 'start', name)
    for (const name of NAMES) await consoleSays(h1, name, new RegExp(DISK_BOOT_LINE))
    await votersAre(h3, 3)
    await waitFor('h3 to know its guests', async () => (await guestPids(h3)).size > 0)
    pids = await guestPids(h3)
  })
  afterAll(() => lab?.stop())

  it('while the quorum stands, there is nothing to recover', async () => {
    const { code, stderr, stdout } = await h3.cli('mesh', 'recover', '--plan')
    expect(code).toBe(3)
    expect(stderr).toMatch(/has a quorum: h[123] leads/)
    expect(stdout).toContain('nothing was changed')
  })

  it('the plan says who goes on, what may be lost, and what to type', async () => {
    await Promise.all([h1.host.poweroff(), h2.host.poweroff()])
    await waitFor('h3 to miss its leader', async () => (await statusOf(h3)).leader === null)
    const { code, stdout } = await h3.cli('mesh', 'recover', '--plan')
    expect(code, stdout).toBe(0)
    expect(stdout).toMatch(/^h1 +yes +- +- +- +- +no answer/m)
    expect(stdout).toMatch(/^h3 +yes +\d+ +\d+ +\d+ +\d+ +goes on, votes alone$/m)
    expect(stdout).toContain('may be lost: ')
    expect(stdout).toContain('what h1 and h2 agreed on after entry')
    expect(stdout).toContain('h1 and h2 are off, or cut off from every datastore')
    digest = /mesh recover --confirm ([0-9a-f]{8})$/m.exec(stdout)?.[1] ?? ''
    expect(digest).not.toBe('')
  })

  it('another plan than the one that was read is not carried out', async () => {
    expect(await h3.cli('mesh', 'recover', '--confirm', '00000000')).toMatchObject({ code: 7, stderr: expect.stringContaining(digest) })
  })

  it('confirmed, the mesh goes on and takes writes, and no guest noticed or moved', async () => {
    expect(await h3.ok('mesh', 'recover', '--confirm', digest)).toContain('goes on in generation 2')
    expect(await h3.ok('mesh', 'recover', '--confirm', digest)).toContain('already')
    await h3.ok('vm', 'create', 'late', '--vcpus', '1', '--memory', '64')
    expect(await guestPids(h3)).toEqual(pids)
    const owners = await Promise.all(NAMES.map(async (name) => (await vmOf(h3, name)).owner?.host))
    expect(new Set(owners)).toEqual(new Set(['h1', 'h2', 'h3']))
  })

  it('the old majority comes back out of sight: its quorum stands, and knows no better', async () => {
    await lab.lab.split([h1.host, h2.host], [h3.host])
    await Promise.all([h1.powerOn(), h2.powerOn()])
    await leadership([h1, h2])
    // What they agree on here is given up later, and so are these runs, wherever they are.
    const anew = (): number => [h1, h2].flatMap(startsNoted).filter((start) => start.endsWith(' 1.2')).length
    await waitFor('both guests to be started anew', () => anew() === 2, { limitMs: 60_000 })
  })

  it('once it sees the one that went on, nothing is changed there any more, and it says why', async () => {
    await lab.lab.heal()
    for (const host of [h1, h2]) {
      await leftBehind(host, 2)
      const { code, stderr } = await host.cli('vm', 'create', 'never', '--vcpus', '1', '--memory', '64')
      expect([code, stderr]).toEqual([
        3,
        expect.stringContaining('the mesh went on in generation 2, as h3 says, and this host is still in generation 1'),
      ])
      expect(stderr).toContain('hostmesh mesh recover --rejoin h3')
      expect((await host.cli('status')).stdout).toContain('its own quorum still stands, so a person has to say that it goes over')
    }
    const refused = await h3.json<readonly { type: string; data: { why?: string } }[]>('event', 'list', '--limit', '50')
    expect(refused.some(({ type, data }) => type === 'peer.refused' && /lives in generation 1/.test(data.why ?? ''))).toBe(true)
    expect((await h3.json<readonly { name: string }[]>('vm', 'list')).map(({ name }) => name)).not.toContain('never')
  })

  it('both come in again as learners, one by the word of a person, the other by itself, and vote in the end', async () => {
    expect(await h1.ok('mesh', 'recover', '--rejoin', 'h3')).toContain('a learner of mesh lab in generation 2')
    // Its quorum is lost without h1.
    await waitFor('h2 to follow', async () => (await statusOf(h2)).leader?.name === 'h3', { limitMs: 60_000, everyMs: 100 })
    for (const host of [h1, h2]) {
      expect((await vmOf(host, 'late')).name).toBe('late')
      expect(await host.ok('mesh', 'recover', '--rejoin', 'h3')).toContain('is in generation 2 of mesh lab already')
    }
    await votersAre(h3, 3)
    for (const host of lab.hosts) await wholeMesh(host)
  })

  it('their guests are off or start again in the new generation, each in one place', async () => {
    // Off where the host of the guest has only seen it end: it was the old majority that gave it to the other.
    const settled = async (): Promise<boolean> => {
      for (const vm of await Promise.all(NAMES.map((name) => vmOf(h1, name)))) {
        if (vm.state === 'off') await h1.cli('vm', 'start', vm.name)
        if (vm.state !== 'running' || !(vm.owner?.host === 'h3' || vm.owner?.epoch.startsWith('2.'))) return false
      }
      return true
    }
    await waitFor('all guests to run', settled, { limitMs: 100_000, everyMs: 200 })
    const starts = lab.hosts.flatMap(startsNoted)
    expect(new Set(starts).size, starts.join(', ')).toBe(starts.length)
    expect(await guestPids(h3)).toEqual(pids)
    const epochs = await Promise.all(NAMES.map(async (name) => (await vmOf(h1, name)).owner?.epoch ?? 'none'))
    expect(epochs.toSorted(compareText)).toEqual(['1.1', expect.stringMatching(/^2\./), expect.stringMatching(/^2\./)])
  })
})
