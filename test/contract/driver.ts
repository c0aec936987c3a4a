// What every Driver promises, whatever is behind it: one start per (vm, epoch) for ever, guests that outlive agents, ends that are noted.
import { describe, expect, it } from 'vitest'
import { hasCode, type ErrorCode } from '../../src/base/errors.ts'
import { type VmId } from '../../src/base/ids.ts'
import { type VmStatus } from '../../src/inventory/model.ts'
import { type Driver, type ObservedRun, type Run, type StartSpec } from '../../src/vm/driver.ts'

/** One host under test, with guests that print, echo what is typed, and hear their power button. */
export interface DriverWorld {
  /** The present agent's. */
  readonly driver: Driver
  /** A guest that can start here. */
  spec(run: Run, changes?: Partial<StartSpec>): Promise<StartSpec>
  /** The agent goes, another comes. */
  replaceAgent(): Promise<void>
  /** What holds the guests fails and takes them along; afterwards another agent comes. */
  failHost(): Promise<void>
  powerOffFromInside(run: Run): Promise<void>
  /** The guest hears its button no more. */
  makeDeaf(run: Run): Promise<void>
  /** Its process dies without anybody having asked for it. */
  crash(run: Run): Promise<void>
  /** Time passes until `look` says true; fails after a limit. */
  until(what: string, look: () => Promise<boolean>): Promise<void>
  /** Time passes until the promise is settled. */
  settle<T>(promise: Promise<T>): Promise<T>
}

const WEB = 'web0000000000000' as VmId
const DB = 'db00000000000000' as VmId

function run(counter: number, vm: VmId = WEB, generation = 1): Run {
  return { vm, epoch: { generation, counter } }
}

export function driverContract(name: string, open: () => Promise<DriverWorld>): void {
  const start = async (world: DriverWorld, wanted: Run, changes: Partial<StartSpec> = {}): Promise<void> =>
    world.settle(world.driver.start(await world.spec(wanted, changes), new AbortController().signal))
  const find = async (world: DriverWorld, wanted: Run): Promise<ObservedRun | undefined> => {
    const runs = await world.settle(world.driver.list())
    return runs.find(
      ({ vm, epoch }) => vm === wanted.vm && epoch.counter === wanted.epoch.counter && epoch.generation === wanted.epoch.generation,
    )
  }
  const status = async (world: DriverWorld, wanted: Run): Promise<VmStatus | undefined> => {
    const found = await find(world, wanted)
    return found?.kind === 'live' ? found.status : undefined
  }
  const untilStatus = (world: DriverWorld, wanted: Run, expected: VmStatus): Promise<void> =>
    world.until(`status ${expected}`, async () => (await status(world, wanted)) === expected)
  const codeOf = (promise: Promise<unknown>): Promise<ErrorCode | 'none'> =>
    promise.then(
      () => 'none' as const,
      (error: unknown) => {
        if (hasCode(error, 'conflict', 'not-found', 'failed', 'unreachable')) return error.code
        throw error
      },
    )
  /** A guest that boots hears nothing yet. */
  const untilBooted = (world: DriverWorld, wanted: Run): Promise<void> =>
    world.until('first words on the console', async () => (await world.settle(world.driver.consoleLog(wanted.vm, 10))).length > 0)

  describe(`driver contract: ${name}`, () => {
    describe('starting', () => {
      it('lists nothing on a new host', async () => {
        const world = await open()
        expect(await world.settle(world.driver.list())).toEqual([])
        expect(await world.settle(world.driver.counters())).toEqual([])
      })

      it('lists a started run as running, with its process', async () => {
        const world = await open()
        await start(world, run(1))
        expect(await find(world, run(1))).toEqual({ ...run(1), kind: 'live', status: 'running', pid: expect.any(Number) })
      })

      it('leaves the CPUs of a guest that is wanted paused stopped, until they are resumed', async () => {
        const world = await open()
        await start(world, run(1), { paused: true })
        expect(await status(world, run(1))).toBe('paused')
        await world.settle(world.driver.resume(run(1)))
        expect(await status(world, run(1))).toBe('running')
      })

      it('runs guests of several VMs side by side', async () => {
        const world = await open()
        await start(world, run(1))
        await start(world, run(1, DB))
        expect([await status(world, run(1)), await status(world, run(1, DB))]).toEqual(['running', 'running'])
        await world.settle(world.driver.end(run(1), 'off'))
        expect([await status(world, run(1)), await status(world, run(1, DB))]).toEqual([undefined, 'running'])
      })

      it('ends a run that cannot start as start-failed, with the reason', async () => {
        const world = await open()
        const spec = await world.spec(run(1), { boot: { kernel: '/nowhere/vmlinuz', initrd: null, append: '' } })
        expect(await codeOf(world.settle(world.driver.start(spec, new AbortController().signal)))).toBe('failed')
        const ended = await find(world, run(1))
        expect(ended).toMatchObject({ kind: 'ended', intent: 'start-failed' })
        expect(ended?.kind === 'ended' && ended.reasons[0]?.message).toContain('/nowhere/vmlinuz')
      })
    })

    describe('at most one start per (vm, epoch)', () => {
      it('refuses a second start while the first runs, and leaves that alone', async () => {
        const world = await open()
        await start(world, run(1))
        const before = await find(world, run(1))
        expect(await codeOf(start(world, run(1)))).toBe('conflict')
        expect(await find(world, run(1))).toEqual(before)
      })

      it('refuses it after the end, after forgetting, and for older epochs', async () => {
        const world = await open()
        await start(world, run(7))
        await world.settle(world.driver.end(run(7), 'off'))
        expect(await codeOf(start(world, run(7)))).toBe('conflict')
        await world.settle(world.driver.forget(run(7)))
        expect(await world.settle(world.driver.list())).toEqual([])
        // The host tells the leader that this epoch is over, by this very reason.
        await expect(start(world, run(7))).rejects.toMatchObject({ code: 'conflict', reasons: [{ code: 'epoch-used' }] })
        expect(await codeOf(start(world, run(6)))).toBe('conflict')
        expect(await world.settle(world.driver.list())).toEqual([])
      })

      it('refuses it to the next agent, and after the host failed', async () => {
        const world = await open()
        await start(world, run(1))
        await world.replaceAgent()
        expect(await codeOf(start(world, run(1)))).toBe('conflict')
        await world.failHost()
        await world.until('the run is ended', async () => (await find(world, run(1)))?.kind === 'ended')
        expect(await codeOf(start(world, run(1)))).toBe('conflict')
        await world.settle(world.driver.forget(run(1)))
        await world.failHost()
        expect(await codeOf(start(world, run(1)))).toBe('conflict')
      })

      it('refuses a newer epoch while an older run is live, and takes it afterwards', async () => {
        const world = await open()
        await start(world, run(1))
        expect(await codeOf(start(world, run(2)))).toBe('conflict')
        expect(await status(world, run(1))).toBe('running')
        await world.settle(world.driver.end(run(1), 'off'))
        await start(world, run(2))
        expect(await status(world, run(2))).toBe('running')
      })

      it('takes a newer generation with a lower counter, and no older generation after it', async () => {
        const world = await open()
        await start(world, run(9))
        await world.settle(world.driver.end(run(9), 'off'))
        await start(world, run(1, WEB, 2))
        await world.settle(world.driver.end(run(1, WEB, 2), 'off'))
        expect(await codeOf(start(world, run(10)))).toBe('conflict')
      })

      it('starts once when asked twice at the same time', async () => {
        const world = await open()
        const spec = await world.spec(run(1))
        const both = await world.settle(Promise.allSettled([1, 2].map(() => world.driver.start(spec, new AbortController().signal))))
        expect(both.map((one) => one.status).toSorted()).toEqual(['fulfilled', 'rejected'])
        expect(await status(world, run(1))).toBe('running')
      })

      it('never starts an epoch that was ended before its start', async () => {
        const world = await open()
        await world.settle(world.driver.end(run(3), 'off'))
        expect(await find(world, run(3))).toEqual({ ...run(3), kind: 'ended', intent: 'off', reasons: [] })
        expect(await codeOf(start(world, run(3)))).toBe('conflict')
        await start(world, run(4))
      })
    })

    describe('ending', () => {
      it('ends a run for the reason given, and can be repeated', async () => {
        const world = await open()
        await start(world, run(1))
        await world.settle(world.driver.end(run(1), 'off'))
        expect(await find(world, run(1))).toEqual({ ...run(1), kind: 'ended', intent: 'off', reasons: [] })
        await world.settle(world.driver.end(run(1), 'host-down'))
        expect(await find(world, run(1))).toMatchObject({ kind: 'ended', intent: 'off' })
        await world.settle(world.driver.forget(run(1)))
        await world.settle(world.driver.end(run(1), 'off'))
        expect(await world.settle(world.driver.list())).toEqual([])
      })

      it('tells a crash from an end that was asked for', async () => {
        const world = await open()
        await start(world, run(1))
        await world.crash(run(1))
        await world.until('the run is ended', async () => (await find(world, run(1)))?.kind === 'ended')
        const ended = await find(world, run(1))
        expect(ended).toMatchObject({ kind: 'ended', intent: 'crash' })
        expect(ended?.kind === 'ended' && ended.reasons).toEqual([{ code: 'crash', message: expect.stringContaining('SIGKILL') }])
      })

      it('forgets no live run, and forgetting what is unknown is harmless', async () => {
        const world = await open()
        await start(world, run(1))
        expect(await codeOf(world.settle(world.driver.forget(run(1))))).toBe('conflict')
        expect(await status(world, run(1))).toBe('running')
        await world.settle(world.driver.forget(run(2)))
      })
    })

    describe('guests', () => {
      it('pauses and resumes', async () => {
        const world = await open()
        await start(world, run(1))
        await world.settle(world.driver.pause(run(1)))
        expect(await status(world, run(1))).toBe('paused')
        await world.settle(world.driver.resume(run(1)))
        expect(await status(world, run(1))).toBe('running')
      })

      it('shows a guest that was asked to shut down, and holds it powered off until it is ended', async () => {
        const world = await open()
        await start(world, run(1))
        await untilBooted(world, run(1))
        await world.settle(world.driver.shutdown(run(1)))
        expect(['shutting-down', 'powered-off']).toContain(await status(world, run(1)))
        await untilStatus(world, run(1), 'powered-off')
        await world.settle(world.driver.end(run(1), 'off'))
        expect(await find(world, run(1))).toMatchObject({ kind: 'ended', intent: 'off' })
      })

      it('shows a guest that ignores its power button as shutting down, until it is reset', async () => {
        const world = await open()
        await start(world, run(1))
        await untilBooted(world, run(1))
        await world.makeDeaf(run(1))
        await world.settle(world.driver.shutdown(run(1)))
        expect(await status(world, run(1))).toBe('shutting-down')
        await world.settle(world.driver.reset(run(1)))
        expect(await status(world, run(1))).toBe('running')
      })

      it('sees a guest that switches itself off, says so, and lets only a reset revive it', async () => {
        const world = await open()
        await start(world, run(1))
        await untilBooted(world, run(1))
        expect(await status(world, run(1))).toBe('running')
        let changes = 0
        const off = world.driver.onChange(() => {
          changes += 1
        })
        await world.powerOffFromInside(run(1))
        await world.until('a change', async () => changes > 0)
        off()
        await untilStatus(world, run(1), 'powered-off')
        expect(await codeOf(world.settle(world.driver.resume(run(1))))).toBe('failed')
        expect(await status(world, run(1))).toBe('powered-off')
        await world.settle(world.driver.reset(run(1)))
        expect(await status(world, run(1))).toBe('running')
      })

      it('lets a paused guest run on after a reset', async () => {
        const world = await open()
        await start(world, run(1), { paused: true })
        await world.settle(world.driver.reset(run(1)))
        expect(await status(world, run(1))).toBe('running')
      })

      it('knows no guest that does not run', async () => {
        const world = await open()
        await world.settle(world.driver.end(run(2), 'off'))
        const { driver } = world
        for (const call of ['pause', 'resume', 'reset', 'shutdown', 'openConsole'] as const) {
          expect(await codeOf(world.settle<unknown>(driver[call](run(1))))).toBe('not-found')
          expect(await codeOf(world.settle<unknown>(driver[call](run(2))))).toBe('not-found')
        }
      })

      it('counts what live runs use', async () => {
        const world = await open()
        await start(world, run(1))
        await untilBooted(world, run(1))
        const [counters] = await world.settle(world.driver.counters())
        expect(counters).toEqual({
          ...run(1),
          cpuSeconds: expect.any(Number),
          uptimeS: expect.any(Number),
          residentMiB: expect.any(Number),
        })
        expect(counters?.cpuSeconds).toBeGreaterThan(0)
        expect(counters?.uptimeS).toBeGreaterThan(0)
        expect(counters?.residentMiB).toBeGreaterThan(1)
        await world.settle(world.driver.end(run(1), 'off'))
        expect(await world.settle(world.driver.counters())).toEqual([])
      })
    })

    describe('agents come and go', () => {
      it('lets guests run on, and gives the next agent what runs', async () => {
        const world = await open()
        await start(world, run(1))
        await start(world, run(1, DB), { paused: true })
        const before = await world.settle(world.driver.list())
        await world.replaceAgent()
        expect(await world.settle(world.driver.list())).toEqual(before)
        await world.settle(world.driver.resume(run(1, DB)))
        expect(await status(world, run(1, DB))).toBe('running')
      })

      it('shows the next agent a guest that switched itself off meanwhile', async () => {
        const world = await open()
        await start(world, run(1))
        await untilBooted(world, run(1))
        await world.powerOffFromInside(run(1))
        await untilStatus(world, run(1), 'powered-off')
        await world.replaceAgent()
        expect(await status(world, run(1))).toBe('powered-off')
      })

      it('keeps ended runs for the next agent', async () => {
        const world = await open()
        await world.settle(world.driver.end(run(1), 'off'))
        await world.replaceAgent()
        expect(await find(world, run(1))).toMatchObject({ kind: 'ended', intent: 'off' })
      })

      it("ends runs that went with the host as the host's failure, and starts the next epoch", async () => {
        const world = await open()
        await start(world, run(1))
        await world.failHost()
        await world.until('the run is ended', async () => (await find(world, run(1)))?.kind === 'ended')
        const ended = await find(world, run(1))
        expect(ended).toMatchObject({ kind: 'ended', intent: 'host-down' })
        expect(ended?.kind === 'ended' && ended.reasons[0]?.code).toBe('host-down')
        await start(world, run(2))
        expect(await status(world, run(2))).toBe('running')
      })
    })

    describe('consoles', () => {
      it('keeps what guests wrote beyond the end of the run and of the agent', async () => {
        const world = await open()
        await start(world, run(1))
        await untilBooted(world, run(1))
        await world.settle(world.driver.end(run(1), 'off'))
        const log = await world.settle(world.driver.consoleLog(WEB, 1_000))
        await world.replaceAgent()
        expect(await world.settle(world.driver.consoleLog(WEB, 1_000))).toEqual(log)
        expect(await world.settle(world.driver.consoleLog(WEB, 2))).toEqual(log.slice(-2))
        expect(await world.settle(world.driver.consoleLog(DB, 1_000))).toEqual(new Uint8Array())
      })

      it('shows one guest to several onlookers, each of whom may type', async () => {
        const world = await open()
        await start(world, run(1))
        await untilBooted(world, run(1))
        const heard = ['', '']
        const streams = await Promise.all([0, 1].map(() => world.settle(world.driver.openConsole(run(1)))))
        streams.forEach((stream, index) =>
          stream.onData((bytes) => {
            heard[index] += new TextDecoder().decode(bytes)
          }),
        )
        streams[0]?.write(new TextEncoder().encode('A'))
        await world.until('both hear A', async () => heard.every((text) => text.includes('A')))
        streams[0]?.close()
        streams[1]?.write(new TextEncoder().encode('B'))
        await world.until('the other hears B', async () => heard[1]?.includes('B') === true)
        expect(heard[0]).not.toContain('B')
        streams[1]?.close()
      })

      it('closes the streams of a run that ends', async () => {
        const world = await open()
        await start(world, run(1))
        const stream = await world.settle(world.driver.openConsole(run(1)))
        let closed = 0
        stream.onClose(() => {
          closed += 1
        })
        await world.settle(world.driver.end(run(1), 'off'))
        await world.until('the stream is closed', async () => closed > 0)
        expect(closed).toBe(1)
      })
    })
  })
}
