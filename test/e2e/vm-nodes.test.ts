// What fencing will do to a guest's disks later is possible with the block nodes that it gets at its start: swapped to the dummy and back.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { type VmId } from '../../src/base/ids.ts'
import { asFields } from '../../src/base/parse.ts'
import { type DiskFormat } from '../../src/inventory/model.ts'
import { fenceNodeName, fileNodeName, formatNode, type DiskSpec } from '../../src/vm/disk-nodes.ts'
import { type StartSpec } from '../../src/vm/driver.ts'
import { qemuArguments } from '../../src/vm/qemu-args.ts'
import { QEMU } from '../../src/vm/qemu-facts.ts'
import { connectQmp, type Qmp } from '../../src/vm/qmp.ts'
import { CONSOLE_SOCKET, WARDEN_MONITOR } from '../../src/vm/warden-protocol.ts'
import { SERIAL_GUEST_KEYS, SERIAL_GUEST_LINE, serialGuestDisk } from '../fixture/guest/serial-guest.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { waitFor } from '../lab/wait-for.ts'

const run = promisify(execFile)
const SIZE = 1024 * 1024

interface Guest {
  readonly qmp: Qmp
  readonly disks: readonly DiskSpec[]
  type(key: string): void
  /** What it said since the last look. */
  said(): string
  status(): Promise<unknown>
  /** One blockdev-reopen of all disks, over the nodes that `name` gives: all change or none. */
  swap(name: (disk: DiskSpec) => string): Promise<unknown>
}

describe('the block nodes of a guest', () => {
  it.each<DiskFormat>(['raw', 'qcow2'])('let go of a %s image for the dummy, and take it back, with the guest unharmed', async (format) => {
    const guest = await bootGuest(format)
    guest.type(SERIAL_GUEST_KEYS.write)
    await hears(guest, 'W')
    await expect(openForWriting(guest)).rejects.toThrow(/Failed to get "write" lock/)

    await guest.qmp.execute('stop')
    await guest.swap(fenceNodeName)
    await openForWriting(guest)

    await guest.swap(fileNodeName)
    await expect(openForWriting(guest)).rejects.toThrow(/Failed to get "write" lock/)
    guest.said()
    await guest.qmp.execute('cont')
    await hears(guest, SERIAL_GUEST_LINE)
    guest.type(SERIAL_GUEST_KEYS.write)
    await hears(guest, 'W')
  })

  it('stop a guest that writes to the dummy before it sees an error, and let it write again afterwards', async () => {
    const guest = await bootGuest('qcow2')
    await guest.qmp.execute('stop')
    await guest.swap(fenceNodeName)
    await guest.qmp.execute('cont')
    guest.said()
    guest.type(SERIAL_GUEST_KEYS.write)
    await waitFor('the guest is stopped', async () => (await guest.status()) === 'io-error')
    expect(guest.said()).not.toMatch(/[WE]/)
    await guest.swap(fileNodeName)
    await guest.qmp.execute('cont')
    await hears(guest, 'W')
  })

  it('cannot be taken back while somebody else uses the image', async () => {
    const guest = await bootGuest('raw')
    await guest.qmp.execute('stop')
    await guest.swap(fenceNodeName)
    const other = await holdForWriting(guest)
    await expect(guest.swap(fileNodeName)).rejects.toThrow(/Failed to get (shared )?"write" lock/)
    await other.letGo()
    await guest.swap(fileNodeName)
  })

  it('lose nothing that the guest wrote', async () => {
    const guest = await bootGuest('raw')
    guest.type(SERIAL_GUEST_KEYS.write)
    await hears(guest, 'W')
    await guest.qmp.execute('stop')
    await guest.swap(fenceNodeName)
    const [disk] = guest.disks
    // The guest wrote what lay at its buffer: nothing but zeros, over the mark that the test had put there.
    expect((await readFile(disk?.path ?? '')).subarray(512, 520)).toEqual(Buffer.alloc(8))
  })
})

async function bootGuest(format: DiskFormat): Promise<Guest> {
  const directory = await temporaryDirectory()
  const disks = [await bootDisk(directory, format), await emptyDisk(directory)]
  const place = { qemu: QEMU, accelerator: 'tcg', directory, consoleLog: join(directory, 'console'), uefi: null } as const
  const [program = '', ...args] = qemuArguments(exampleSpec(disks), place)
  await mkdir(directory, { recursive: true })
  const qemu = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  onTestFinished(() => killed(qemu))
  const path = join(directory, WARDEN_MONITOR)
  const qmp = await waitFor('QEMU answers', () => connectQmp({ path, clock: realClock, timeoutMs: 2_000 }))
  const serial = connect(join(directory, CONSOLE_SOCKET))
  const said = listen(serial)
  await qmp.execute('cont')
  const guest: Guest = {
    qmp,
    disks,
    type: (key) => void serial.write(key),
    said,
    status: async () => asFields(await qmp.execute('query-status'), 'status')['status'],
    swap: (name) => qmp.execute('blockdev-reopen', { options: disks.map((disk) => formatNode(disk, name(disk))) }),
  }
  await hears(guest, SERIAL_GUEST_LINE)
  return guest
}

function listen(serial: Socket): () => string {
  let text = ''
  serial.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  return () => {
    const all = text
    text = ''
    return all
  }
}

async function hears(guest: Guest, expected: string): Promise<void> {
  let heard = ''
  await waitFor(`the guest says ${expected}`, () => {
    heard += guest.said()
    return heard.includes(expected)
  })
}

async function bootDisk(directory: string, format: DiskFormat): Promise<DiskSpec> {
  const raw = join(directory, 'boot.raw')
  const content = serialGuestDisk(SIZE)
  content.fill(0xff, 512, 1024)
  await writeFile(raw, content)
  if (format === 'raw') return { id: 'boot000000000000', path: raw, format, sizeBytes: SIZE }
  const path = join(directory, 'boot.qcow2')
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, path])
  return { id: 'boot000000000000', path, format, sizeBytes: SIZE }
}

async function emptyDisk(directory: string): Promise<DiskSpec> {
  const path = join(directory, 'data.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, String(SIZE)])
  return { id: 'data000000000000', path, format: 'qcow2', sizeBytes: SIZE }
}

function exampleSpec(disks: readonly DiskSpec[]): StartSpec {
  return {
    vm: 'web0000000000000' as VmId,
    epoch: { generation: 1, counter: 1 },
    name: 'web',
    vcpus: 1,
    memoryMiB: 32,
    cpu: 'mesh-baseline',
    firmware: 'bios',
    machineType: 'pc-q35-10.0',
    disks,
    cdrom: null,
    boot: null,
    paused: false,
  }
}

/** As another host would: with the image's locks. */
async function openForWriting(guest: Guest): Promise<void> {
  for (const { path, format } of guest.disks) await run('qemu-io', ['-f', format, '-c', 'flush', path])
}

async function holdForWriting(guest: Guest): Promise<{ letGo(): Promise<void> }> {
  const [disk] = guest.disks
  const child = spawn('qemu-io', ['-f', 'raw', disk?.path ?? ''], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => killed(child))
  // Its prompt comes when the image is open.
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return { letGo: () => killed(child) }
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}
