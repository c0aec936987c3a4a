// The test guest does what its knobs say: other tests build on it.
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { bootableDisk, DISK_BOOT_LINE } from '../fixture/guest/boot-sector.ts'
import { guestCommandLine, guestFiles, type GuestFiles, type GuestKnobs } from '../fixture/guest/guest-files.ts'
import { type GuestProcess, startGuest } from '../fixture/guest/guest-process.ts'
import { countRecords } from '../fixture/guest/records.ts'

describe('a test guest', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hostmesh-guest-'))
  const disk = join(folder, 'disk.raw')
  const monitor = join(folder, 'monitor.sock')
  let files: GuestFiles
  let guest: GuestProcess | undefined

  beforeAll(async () => {
    files = await guestFiles()
    writeFileSync(disk, '')
    truncateSync(disk, 8 * 2 ** 20)
  })
  afterEach(() => guest?.kill())
  afterAll(() => rmSync(folder, { recursive: true }))

  const boot = (knobs: GuestKnobs, ...args: readonly string[]): GuestProcess => {
    const kernel = ['-m', '96', '-kernel', files.kernel, '-initrd', files.initrd, '-append', guestCommandLine(knobs)]
    guest = startGuest([...kernel, '-qmp', `unix:${monitor},server=on,wait=off`, ...args])
    return guest
  }
  const withDisk = ['-blockdev', `driver=file,node-name=f,filename=${disk}`, '-device', 'virtio-blk-pci,drive=f']

  it('ticks, holds memory, and answers on its console', async () => {
    const { says, type, ended } = boot({ tickMs: 100, fillMiB: 16 })
    await says(/guest: ready/)
    await says(/tick 1\r\n[^]*tick 5\r\n/)
    await says(/filled 16 MiB/)
    type('hello there')
    await says(/echo: hello there\r\n/)
    type('poweroff')
    expect(await ended).toEqual({ code: 0, signal: null })
  })

  it('writes records that are on the disk once it has said so, and goes on behind them after a reboot', async () => {
    const { says, type, kill, ended, output } = boot({ recordMs: 20 }, ...withDisk)
    await says(/records resume after 0\r\n[^]*record 10\r\n/)
    type('reboot')
    await says(/records resume after (?!0\b)\d+\r\n[^]*record \d+\r\n/)
    kill()
    await ended
    const said = Math.max(...[...output().matchAll(/record (\d+)\r\n/g)].map((match) => Number(match[1])))
    expect(countRecords(readFileSync(disk))).toBeGreaterThanOrEqual(said)
  })

  it('powers off within a second when its power button is pressed', async () => {
    const { says, ended } = boot({})
    await says(/guest: ready/)
    press(monitor)
    await says(/power button/)
    const pressed = performance.now()
    expect(await ended).toEqual({ code: 0, signal: null })
    expect(performance.now() - pressed).toBeLessThan(2000)
  })

  it('ignores its power button where it shall hang, still answers, and panics on demand', async () => {
    const { says, type } = boot({ ignoreButton: true })
    await says(/guest: ready/)
    press(monitor)
    await says(/power button/)
    type('alive?')
    await says(/echo: alive\?/)
    type('panic')
    await says(/Kernel panic - not syncing/)
  })

  it('boots from a disk alone', async () => {
    const image = join(folder, 'boot.raw')
    writeFileSync(image, bootableDisk(2 ** 20))
    guest = startGuest(['-m', '16', '-blockdev', `driver=file,node-name=f,filename=${image}`, '-device', 'virtio-blk-pci,drive=f'])
    await guest.says(new RegExp(`${DISK_BOOT_LINE}\r\n[^]*${DISK_BOOT_LINE}\r\n`))
  })
})

/** Presses the power button through QEMU's machine protocol. */
function press(monitor: string): void {
  const socket = connect(monitor, () => socket.write('{"execute":"qmp_capabilities"}{"execute":"system_powerdown"}'))
  socket.on('data', (chunk: Buffer) => {
    if (chunk.includes('POWERDOWN')) socket.end()
  })
}
