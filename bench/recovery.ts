// The story of a lost majority as its administrator types it: the plan, the recovery, the old majority that comes back and is refused, a backup.
import { join } from 'node:path'
import { compareText } from '../src/inventory/view.ts'
import { leftBehind, statusOf } from '../test/lab/look.ts'
import { formMesh, type MeshHost, startMeshLab, votersAre } from '../test/lab/mesh-lab.ts'
import { waitFor } from '../test/lab/wait-for.ts'

const lab = await startMeshLab(3)
try {
  await formMesh(lab)
  await tell([...lab.hosts].sort((a, b) => compareText(a.name, b.name)))
} finally {
  await lab.stop()
}

async function tell([h1, h2, h3]: readonly MeshHost[]): Promise<void> {
  if (h1 === undefined || h2 === undefined || h3 === undefined) throw new Error('three hosts wanted')
  await type(h1, 'mesh', 'members')
  say('while the quorum stands, there is nothing to recover')
  await type(h3, 'mesh', 'recover', '--plan')
  say('h1 and h2 lose their power')
  await Promise.all([h1.host.poweroff(), h2.host.poweroff()])
  await waitFor('h3 to miss its leader', async () => (await statusOf(h3)).leader === null)
  const plan = await type(h3, 'mesh', 'recover', '--plan')
  const digest = /--confirm ([0-9a-f]{8})/.exec(plan)?.[1]
  if (digest === undefined) throw new Error('the plan ends with nothing to confirm')
  await type(h3, 'mesh', 'recover', '--confirm', '00000000')
  await type(h3, 'mesh', 'recover', '--confirm', digest)
  await type(h3, 'vm', 'create', 'late', '--vcpus', '1', '--memory', '64')
  say('h1 and h2 come back where h3 is not seen: they are a majority of generation 1, and know no better')
  await lab.lab.split([h1.host, h2.host], [h3.host])
  await Promise.all([h1.powerOn(), h2.powerOn()])
  await waitFor('h1 and h2 to elect a leader', async () => (await statusOf(h1)).leader !== null)
  await type(h1, 'status')
  say('h3 is seen again: nothing is changed any more in the generation that is over, until a person decides')
  await lab.lab.heal()
  for (const host of [h1, h2]) await leftBehind(host, 2)
  await type(h1, 'status')
  for (const host of [h1, h2]) await type(host, 'vm', 'create', 'never', '--vcpus', '1', '--memory', '64')
  await type(h1, 'mesh', 'recover', '--rejoin', 'h3')
  say('h1 has left the old majority; h2, without a leader for 10 s, follows by itself')
  await waitFor('h2 to follow', async () => (await statusOf(h2)).leader?.name === 'h3', { limitMs: 60_000 })
  await type(h2, 'mesh', 'recover', '--rejoin', 'h3')
  await votersAre(h3, 3)
  await type(h2, 'mesh', 'members')
  await type(h2, 'vm', 'list')
  const file = join(lab.folder, 'lab.backup')
  await type(h3, 'mesh', 'backup', file)
  await type(h3, 'mesh', 'backup', file)
  await type(h3, 'mesh', 'restore', file, '--dry-run')
  await type(h1, 'mesh', 'restore', file)
}

function say(text: string): void {
  process.stdout.write(`\n# ${text}\n`)
}

/** Printed whatever its exit code: refusals are part of the story. */
async function type(host: MeshHost, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await host.cli(...args)
  process.stdout.write(`\n${host.name}$ hostmesh ${args.join(' ')}\n${stdout}${stderr}[exit code ${code}]\n`)
  return stdout
}
