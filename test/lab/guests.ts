// Guests for tests, benches and the demo, as arguments of `hostmesh vm create`.
import { execFileSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bootableDisk } from '../fixture/guest/boot-sector.ts'
import { guestCommandLine, type GuestKnobs } from '../fixture/guest/guest-files.ts'
import { type MeshHost, type MeshLab } from './mesh-lab.ts'

const MIB = 2 ** 20

/** Boots a kernel from datastore `shared` and does what the knobs say; the kernel needs these 96 MiB. */
export function kernelGuest(knobs: GuestKnobs): readonly string[] {
  const files = ['--kernel', 'shared/vmlinuz', '--initrd', 'shared/initrd']
  return ['--vcpus', '1', '--memory', '96', ...files, '--append', guestCommandLine(knobs)]
}

/** Creates a VM of 64 MiB that boots from its own raw disk within a second, says so twice a second, and costs next to no CPU. */
export async function createDiskGuest(host: MeshHost, { datastore }: Pick<MeshLab, 'datastore'>, name: string): Promise<void> {
  await host.ok('vm', 'create', name, '--vcpus', '1', '--memory', '64', '--disk', `shared/${name}:1M,format=raw`)
  writeFileSync(diskFile(datastore, name), bootableDisk(MIB))
}

/** Makes a disk of any format bootable while its VM is off. */
export function makeBootable(datastore: string, name: string): void {
  const file = diskFile(datastore, name)
  const raw = `${file}.boot`
  writeFileSync(raw, bootableDisk(MIB))
  execFileSync('qemu-img', ['convert', '-n', '-f', 'raw', '-O', file.endsWith('.raw') ? 'raw' : 'qcow2', raw, file])
}

/** Where the datastore keeps the disk of that name. */
export function diskFile(datastore: string, name: string): string {
  const folder = join(datastore, 'hostmesh/disks')
  const found = readdirSync(folder).filter((file) => file.startsWith(`${name}-`) && !file.endsWith('.boot'))
  const [file] = found
  if (file === undefined || found.length > 1) throw new Error(`expected one file of disk ${name} in ${folder}, found: ${found.join(', ')}`)
  return join(folder, file)
}
