// A host for tests of the driver on real QEMU: its own directory, warden and guests, all gone when the test ends.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { type Driver, type Run, type StartSpec } from '../../src/vm/driver.ts'
import { runKey } from '../../src/vm/run-rules.ts'
import { connectWarden, type WardenLine } from '../../src/vm/warden-line.ts'
import { WARDEN_SOCKET } from '../../src/vm/warden-protocol.ts'
import { type DriverWorld } from '../contract/driver.ts'
import { SERIAL_GUEST_KEYS, serialGuestDisk } from '../fixture/guest/serial-guest.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { waitFor } from '../lab/wait-for.ts'
import { DRIVER_VERSION, openDriver } from './open-driver.ts'

export const DISK_BYTES = 1024 * 1024

export class QemuWorld implements DriverWorld {
  readonly directory: string
  #driver: Driver

  static async open(): Promise<QemuWorld> {
    const directory = await temporaryDirectory()
    const world = new QemuWorld(directory, await openDriver(directory))
    onTestFinished(() => world.close())
    return world
  }

  private constructor(directory: string, driver: Driver) {
    this.directory = directory
    this.#driver = driver
  }

  get driver(): Driver {
    return this.#driver
  }

  async spec(run: Run, changes: Partial<StartSpec> = {}): Promise<StartSpec> {
    const id = `d${run.vm}`.slice(0, 16)
    const path = join(this.directory, `${id}.img`)
    // `wx`: a disk that a guest of this test uses already stays as it is.
    await writeFile(path, serialGuestDisk(DISK_BYTES), { flag: 'wx' }).catch(() => {})
    return {
      ...run,
      name: 'web, the "first"',
      vcpus: 1,
      memoryMiB: 32,
      cpu: 'mesh-baseline',
      firmware: 'bios',
      machineType: 'pc-q35-10.0',
      disks: [{ id, path, format: 'raw', sizeBytes: DISK_BYTES }],
      cdrom: null,
      boot: null,
      paused: false,
      ...changes,
    }
  }

  async replaceAgent(version = DRIVER_VERSION): Promise<void> {
    await this.#driver.close()
    this.#driver = await openDriver(this.directory, version)
  }

  /** The warden is killed; its guests' death signal does the rest. */
  async failHost(): Promise<void> {
    process.kill(await this.wardenPid(), 'SIGKILL')
    await this.replaceAgent()
  }

  powerOffFromInside(run: Run): Promise<void> {
    return this.type(run, SERIAL_GUEST_KEYS.off)
  }

  async makeDeaf(run: Run): Promise<void> {
    await this.type(run, SERIAL_GUEST_KEYS.deaf)
    await this.until('the guest is deaf', async () => (await this.consoleText(run)).includes(SERIAL_GUEST_KEYS.deaf + 't'))
  }

  async crash(run: Run): Promise<void> {
    process.kill(await this.qemuPid(run), 'SIGKILL')
  }

  async until(what: string, look: () => Promise<boolean>): Promise<void> {
    await waitFor(what, look, { limitMs: 30_000, everyMs: 50 })
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return promise
  }

  async type(run: Run, text: string): Promise<void> {
    const stream = await this.#driver.openConsole(run)
    stream.write(new TextEncoder().encode(text))
    // What was written arrives before the line is closed.
    stream.close()
  }

  async consoleText(run: Run): Promise<string> {
    return new TextDecoder().decode(await this.#driver.consoleLog(run.vm, 100_000))
  }

  async qemuPid(run: Run): Promise<number> {
    for (const known of await this.#driver.list()) {
      if (runKey(known) === runKey(run) && known.kind === 'live' && known.pid !== null) return known.pid
    }
    throw new Error(`run ${runKey(run)} is not live`)
  }

  async wardenPid(): Promise<number> {
    const line = await this.wardenLine()
    try {
      return (await line.hello()).pid
    } finally {
      line.close()
    }
  }

  /** A line to the warden beside the driver's own. */
  async wardenLine(): Promise<WardenLine> {
    const line = await connectWarden(join(this.directory, 'vm', WARDEN_SOCKET), realClock, () => {})
    if (line === undefined) throw new Error('no warden listens')
    return line
  }

  async close(): Promise<void> {
    await this.#driver.close()
    const pid = await this.wardenPid().catch(() => undefined)
    // Its guests die with it.
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
  }
}
