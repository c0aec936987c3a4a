// The driver contract on the fake hypervisor, and what a checker of the simulated world reads from it.
import { describe, expect, it } from 'vitest'
import { type Driver, type Run, type StartSpec } from '../../src/vm/driver.ts'
import { FakeHypervisor, type FakeRunEvent } from '../../src/vm/fake-driver.ts'
import { type VmId } from '../../src/base/ids.ts'
import { driverContract, type DriverWorld } from '../contract/driver.ts'
import { errorOf } from '../fixture/error-of.ts'
import { manualClock, type ManualClock } from '../fixture/manual-clock.ts'

const LIMIT_MS = 60_000

driverContract('fake', async () => new FakeWorld())

class FakeWorld implements DriverWorld {
  readonly #clock: ManualClock = manualClock()
  readonly #host = new FakeHypervisor({ clock: this.#clock })
  #driver: Driver = this.#host.connect()

  get driver(): Driver {
    return this.#driver
  }

  async spec(run: Run, changes: Partial<StartSpec> = {}): Promise<StartSpec> {
    const spec = { ...exampleSpec(run), ...changes }
    if (spec.boot !== null) this.#host.failNextStart(run.vm, { code: 'start-failed', message: `could not open ${spec.boot.kernel}` })
    // Some time after the guest is up it prints: as guests do.
    this.#clock.after(1_000, () => this.#host.print(run.vm, 'tick\r\n'))
    return spec
  }

  async replaceAgent(): Promise<void> {
    this.#driver = this.#host.connect()
  }

  async failHost(): Promise<void> {
    this.#host.powerCut()
    this.#driver = this.#host.connect()
  }

  async powerOffFromInside({ vm }: Run): Promise<void> {
    this.#host.powerOffFromInside(vm)
  }

  async makeDeaf({ vm }: Run): Promise<void> {
    this.#host.ignoreButton(vm)
  }

  async crash({ vm }: Run): Promise<void> {
    this.#host.crash(vm)
  }

  async until(what: string, look: () => Promise<boolean>): Promise<void> {
    const end = this.#clock.now() + LIMIT_MS
    while (!(await look())) {
      if (this.#clock.now() > end) throw new Error(`${what}: not so after ${LIMIT_MS} ms`)
      await this.#clock.run(10)
    }
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.#clock.settle(promise, LIMIT_MS)
  }
}

const WEB = 'web0000000000000' as VmId

function exampleSpec(run: Run): StartSpec {
  return {
    ...run,
    name: 'web',
    vcpus: 1,
    memoryMiB: 64,
    cpu: 'mesh-baseline',
    firmware: 'bios',
    machineType: 'pc-q35-10.0',
    disks: [],
    cdrom: null,
    boot: null,
    paused: false,
  }
}

describe('the fake hypervisor', () => {
  const run: Run = { vm: WEB, epoch: { generation: 1, counter: 1 } }
  const world = (): { clock: ManualClock; host: FakeHypervisor; events: string[] } => {
    const clock = manualClock()
    const host = new FakeHypervisor({ clock, startMs: 200, shutdownMs: 500, endMs: 20 })
    const events: string[] = []
    host.onEvent(({ kind, atMs }: FakeRunEvent) => events.push(`${atMs} ${kind}`))
    return { clock, host, events }
  }
  const never = new AbortController().signal

  it('tells when the CPUs of a run are on, which is when it can write', async () => {
    const { clock, host, events } = world()
    const driver = host.connect()
    await clock.settle(driver.start(exampleSpec(run), never), 1_000)
    expect(host.running()).toEqual([run])
    await clock.run(100)
    await clock.settle(driver.pause(run), 10)
    expect(host.running()).toEqual([])
    await clock.settle(driver.resume(run), 10)
    await clock.settle(driver.end(run, 'off'), 100)
    expect(events).toEqual(['0 started', '200 cpus-on', '300 cpus-off', '300 cpus-on', '320 gone'])
  })

  it('starts under a dying agent, but leaves the CPUs off, as the warden does', async () => {
    const { clock, host } = world()
    const started = host.connect().start(exampleSpec(run), never)
    const error = errorOf(started)
    await clock.run(100)
    const next = host.connect()
    expect(await error).toMatchObject({ code: 'unreachable' })
    expect(await next.list()).toMatchObject([{ kind: 'live', status: 'starting' }])
    await clock.run(200)
    expect(await next.list()).toMatchObject([{ kind: 'live', status: 'paused' }])
    expect(host.running()).toEqual([])
  })

  it('loses the guests of a power cut at once, also one that is being started', async () => {
    const { clock, host, events } = world()
    const started = host.connect().start(exampleSpec(run), never)
    const error = errorOf(started)
    await clock.run(100)
    host.powerCut()
    expect(await error).toMatchObject({ code: 'unreachable' })
    await clock.run(1_000)
    expect(events).toEqual(['0 started', '100 gone'])
    expect(await host.connect().list()).toMatchObject([{ kind: 'ended', intent: 'host-down' }])
  })

  it('answers a dead agent nothing', async () => {
    const { host } = world()
    const driver = host.connect()
    host.killAgent()
    await expect(driver.list()).rejects.toMatchObject({ code: 'unreachable' })
    await expect(driver.end(run, 'off')).rejects.toMatchObject({ code: 'unreachable' })
    expect(await host.connect().list()).toEqual([])
  })

  it('lets a guest that was paused hear its button when it runs again', async () => {
    const { clock, host } = world()
    const driver = host.connect()
    await clock.settle(driver.start({ ...exampleSpec(run), paused: true }, never), 1_000)
    await driver.shutdown(run)
    await clock.run(10_000)
    expect(await driver.list()).toMatchObject([{ status: 'paused' }])
    await driver.resume(run)
    expect(await driver.list()).toMatchObject([{ status: 'shutting-down' }])
    await clock.run(501)
    expect(await driver.list()).toMatchObject([{ status: 'powered-off' }])
  })

  it('pauses a guest whose disk fails, and runs it on when asked', async () => {
    const { clock, host } = world()
    const driver = host.connect()
    await clock.settle(driver.start(exampleSpec(run), never), 1_000)
    host.failDisk(WEB)
    expect(await driver.list()).toMatchObject([{ status: 'io-error' }])
    await driver.resume(run)
    expect(await driver.list()).toMatchObject([{ status: 'running' }])
  })

  it('counts the time that the CPUs were on', async () => {
    const { clock, host } = world()
    const driver = host.connect()
    await clock.settle(driver.start(exampleSpec(run), never), 1_000)
    await clock.run(3_000)
    await driver.pause(run)
    await clock.run(5_000)
    expect(await driver.counters()).toEqual([{ ...run, cpuSeconds: 3, uptimeS: 8.2, residentMiB: 64 }])
  })
})
