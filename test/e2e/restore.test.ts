// A mesh in a file: made by one host, restored on another that belongs to none; the first comes in again with its data.
import { existsSync, statSync, truncateSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startLoopbackLab, type LoopbackHost } from '../lab/loopback-lab.ts'
import { meshLab, newToken, type MeshHost, type MeshLab } from '../lab/mesh-lab.ts'
import { waitFor } from '../lab/wait-for.ts'

let lab: MeshLab<LoopbackHost>
let h1: MeshHost<LoopbackHost>
let h2: MeshHost<LoopbackHost>
let file: string

beforeAll(async () => {
  lab = await meshLab(startLoopbackLab(2))
  const [first, second] = lab.hosts
  if (first === undefined || second === undefined) throw new Error('two hosts wanted')
  h1 = first
  h2 = second
  file = join(lab.folder, 'lab.backup')
  await Promise.all(lab.hosts.map((host) => host.startAgent()))
  await h1.ok('init', '--name', 'lab')
  await h1.ok('vm', 'create', 'web', '--vcpus', '1', '--memory', '64')
})
afterAll(() => lab?.stop())

it('a backup is a new file that only its owner reads', async () => {
  expect(await h1.ok('mesh', 'backup', file)).toMatch(/holds the mesh as of entry \d+: \d+ rows/)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(await h1.cli('mesh', 'backup', file)).toMatchObject({ code: 7, stderr: expect.stringContaining('exists already') })
  expect(existsSync(`${file}.part`)).toBe(false)
})

it('what a backup holds is shown without a change', async () => {
  const shown = await h2.ok('mesh', 'restore', file, '--dry-run')
  expect(shown).toMatch(/^mesh: +lab \(\w+\), generation 1/m)
  expect(shown).toMatch(/^VMs: +web$/m)
  expect((await h2.cli('status')).stderr).toContain('belongs to no mesh')
})

it('a file that is cut short is refused, and so is a restore on a host of a mesh', async () => {
  const cut = `${file}.cut`
  copyFileSync(file, cut)
  truncateSync(cut, statSync(file).size - 200)
  expect(await h2.cli('mesh', 'restore', cut)).toMatchObject({ code: 3, stderr: expect.stringContaining('backup-') })
  expect(await h2.cli('mesh', 'restore', `${file}.gone`)).toMatchObject({ code: 4 })
  expect(await h1.cli('mesh', 'restore', file)).toMatchObject({ code: 7, stderr: expect.stringContaining('belongs to mesh lab already') })
})

it('restored, the mesh goes on in a new generation, and whoever was left behind comes in again by a token', async () => {
  await h1.ok('vm', 'create', 'later', '--vcpus', '1', '--memory', '64')
  expect(await h2.ok('mesh', 'restore', file)).toContain('mesh lab goes on in generation 2')
  expect(await h2.json('vm', 'list')).toMatchObject([{ name: 'web', state: 'off' }])
  await h1.ok('join', await newToken(h2))
  expect(await h1.json('vm', 'list')).toMatchObject([{ name: 'web' }])
  await waitFor('both to be up', async () => (await h2.json<{ hosts: { up: number } }>('status')).hosts.up === 2)
  const hosts = await h1.json<readonly { name: string; raft: string }[]>('host', 'list')
  expect(hosts.map(({ name, raft }) => [name, raft])).toEqual([
    ['h1', 'learner'],
    ['h2', 'leader'],
  ])
})
