// Disks of real agents: one that is full and has space again, on a follower and on the leader; a flipped byte in the stores of a voter.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { DamageRounds, memberOf } from '../lab/damage-rounds.ts'
import { fullDiskRound, mountUnavailable, onSmallDisk } from '../lab/full-disk.ts'
import { type LoopbackHost, startLoopbackLab } from '../lab/loopback-lab.ts'
import { formMesh, meshLab, type MeshHost, type MeshLab } from '../lab/mesh-lab.ts'
import { storesIn } from '../lab/store-damage.ts'
import { waitFor } from '../lab/wait-for.ts'

const unmountable = mountUnavailable()
let lab: MeshLab<LoopbackHost>
let h1: MeshHost<LoopbackHost>
let h2: MeshHost<LoopbackHost>
let h3: MeshHost<LoopbackHost>
let rounds: DamageRounds<LoopbackHost>

beforeAll(async () => {
  lab = await meshLab(startLoopbackLab(3))
  const [first, second, third] = lab.hosts
  h1 = present(first, 'h1')
  h2 = present(second, 'h2')
  h3 = present(third, 'h3')
  const wrapper = unmountable === undefined ? onSmallDisk(h3.dataDir) : []
  await Promise.all([h1.startAgent(), h2.startAgent(), h3.startAgent({ wrapper })])
  await formMesh(lab)
  rounds = new DamageRounds(lab.hosts)
})
afterAll(() => lab?.stop())

/** Leadership settles there before the next write. */
async function leads(host: MeshHost<LoopbackHost>): Promise<void> {
  const { code, stderr } = await h1.cli('mesh', 'leader', 'transfer', host.name)
  if (code !== 0 && !stderr.includes('leads already')) throw new Error(stderr)
}

describe.skipIf(unmountable !== undefined)(`a full disk${unmountable === undefined ? '' : ` (${unmountable})`}`, () => {
  it.each([
    ['a follower', () => h1],
    ['the leader', () => h3],
  ])('of %s: it rests, the others go on, nothing is lost; with space again it is the same member by itself', async (_, leader) => {
    await leads(leader())
    const { fate, why, wrong } = await fullDiskRound(rounds, h3, h1)
    expect([fate, wrong]).toEqual(['healed', []])
    expect(why).toMatch(/no space left on device/i)
  })
})

it('a flipped byte in the stores of a voter: found at its start, told on other hosts, mended by itself', async () => {
  await rounds.write(h1, 3)
  const former = memberOf(h2)
  // Without a leader it has to wait, so that people can be asked what they see.
  await h2.killAgent()
  await h1.killAgent()
  flipInLog(storesIn(h2.dataDir))
  await h2.startAgent({ boot: false })
  await waitFor('h3 to be told', async () => (await h3.cli('status')).stdout.includes('host h2 needs repair: '), {
    limitMs: 30_000,
    everyMs: 200,
  })
  expect((await h3.cli('mesh', 'members')).stdout).toMatch(/^h2 .*needs repair/m)
  expect(await h2.cli('vm', 'list')).toMatchObject({ code: 5, stderr: expect.stringContaining('needs repair') })
  await h1.startAgent({ boot: false })
  await waitFor('h2 to be another member', () => memberOf(h2) !== former, { limitMs: 30_000 })
  expect(await rounds.everywhere()).toEqual([])
  expect(readdirSync(join(h2.dataDir, 'damaged'))).toEqual([String(former)])
})

/** In the middle of what LevelDB wrote to its own log since its start: acknowledged, in no table yet. */
function flipInLog(stores: string): void {
  const files = readdirSync(join(stores, 'log')).filter((name) => name.endsWith('.log'))
  const file = join(stores, 'log', present(files.toSorted().at(-1), 'log of LevelDB'))
  const bytes = readFileSync(file)
  const at = Math.floor(bytes.length / 2)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
}
