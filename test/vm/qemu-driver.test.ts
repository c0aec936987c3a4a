// The driver between a warden and guests that misbehave: one bad guest takes neither the list nor the others with it.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { type VmId } from '../../src/base/ids.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { type Driver, type Run, type StartSpec } from '../../src/vm/driver.ts'
import { openQemuDriver } from '../../src/vm/qemu-driver.ts'
import { AGENT_MONITOR, WARDEN_PROTOCOL, WARDEN_SOCKET, type WardenRun } from '../../src/vm/warden-protocol.ts'
import { lineServer, type LineServer } from '../fixture/line-server.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { waitFor } from '../lab/wait-for.ts'

const WEB: Run = { vm: 'web' as VmId, epoch: { generation: 1, counter: 1 } }
const DB: Run = { vm: 'db' as VmId, epoch: { generation: 1, counter: 1 } }
const never = new AbortController().signal

interface World {
  readonly driver: Driver
  readonly directory: string
  /** What the warden was asked, greetings and lists left out. */
  readonly asked: () => object[]
  runs: WardenRun[]
  /** What the warden answers to a kind of call; `ok` where nothing is said. */
  readonly answers: Record<string, object>
}

async function openWorld(): Promise<World> {
  const directory = await temporaryDirectory()
  const answers: Record<string, object> = {}
  const answer = (line: string): string => {
    const { id, kind } = JSON.parse(line)
    if (kind === 'hello') return `${JSON.stringify({ id, kind, protocol: WARDEN_PROTOCOL, pid: 1, version: '1', bootId: 'b' })}\n`
    if (kind === 'list') return `${JSON.stringify({ id, kind: 'runs', runs: world.runs })}\n`
    return `${JSON.stringify({ id, kind: 'ok', ...answers[kind] })}\n`
  }
  const server = await lineServer({ path: join(directory, WARDEN_SOCKET), answer })
  const driver = await openQemuDriver({
    directory,
    qemu: 'qemu',
    accelerator: 'tcg',
    version: '1',
    clock: realClock,
    random: seededRandom(1),
    log: silentLog,
  })
  onTestFinished(() => driver.close())
  const asked = (): object[] => server.received.map((line) => JSON.parse(line)).filter(({ kind }) => kind !== 'hello' && kind !== 'list')
  const world: World = { driver, directory, asked, runs: [], answers }
  return world
}

/** A guest as the agent's monitor shows it. */
async function guest(world: World, run: Run, state: () => string | undefined): Promise<LineServer> {
  const directory = join(world.directory, `guest-${run.vm}`)
  await mkdir(directory)
  world.runs.push({ ...run, kind: 'live', pid: 42, directory })
  const answer = (line: string): string | undefined => {
    const { id, execute } = JSON.parse(line)
    const status = execute === 'query-status' ? state() : 'fine'
    return status === undefined ? undefined : `${JSON.stringify({ id, return: { status } })}\n`
  }
  return lineServer({ path: join(directory, AGENT_MONITOR), greeting: '{"QMP": {"capabilities": []}}\n', answer })
}

describe('the driver', () => {
  it('asks a guest for its state once, and again only after an event that may have changed it', async () => {
    const world = await openWorld()
    let state = 'running'
    const monitor = await guest(world, WEB, () => state)
    const asked = (): number => monitor.received.filter((line) => line.includes('query-status')).length
    expect(await world.driver.list()).toMatchObject([{ status: 'running' }])
    await world.driver.list()
    expect(asked()).toBe(1)
    let changes = 0
    world.driver.onChange(() => {
      changes += 1
    })
    monitor.send('{"event": "RTC_CHANGE"}\n{"event": "STOP"}\n')
    state = 'paused'
    await waitFor('the change', () => changes > 0)
    expect(changes).toBe(1)
    expect(await world.driver.list()).toMatchObject([{ status: 'paused' }])
    expect(asked()).toBe(2)
  })

  it('shows a guest that does not answer as starting, then as it answered last, and the others beside it', async () => {
    const world = await openWorld()
    let mute = true
    await guest(world, WEB, () => (mute ? undefined : 'io-error'))
    await guest(world, DB, () => 'running')
    expect(await world.driver.list()).toMatchObject([{ status: 'starting' }, { status: 'running' }])
    mute = false
    expect(await world.driver.list()).toMatchObject([{ status: 'io-error' }, { status: 'running' }])
  })

  it('connects again to a guest whose monitor broke, and keeps its last state meanwhile', async () => {
    const world = await openWorld()
    const monitor = await guest(world, WEB, () => 'paused')
    expect(await world.driver.list()).toMatchObject([{ status: 'paused' }])
    let changes = 0
    world.driver.onChange(() => {
      changes += 1
    })
    monitor.hangUp()
    await waitFor('the change', () => changes > 0)
    expect(await world.driver.list()).toMatchObject([{ status: 'paused' }])
    expect(monitor.connections).toBe(2)
  })

  it('ends a crashed guest with what happened before it lists anything', async () => {
    const world = await openWorld()
    await guest(world, WEB, () => 'guest-panicked')
    const list = world.driver.list()
    await waitFor('the end is asked for', () => world.asked().length === 1)
    expect(world.asked()).toMatchObject([{ kind: 'end', ...WEB, intent: 'crash', words: 'the guest panicked' }])
    await list
  })

  it('shows a crashed guest that cannot be ended as powered off, never as paused, and still lists the others', async () => {
    const world = await openWorld()
    await guest(world, WEB, () => 'internal-error')
    await guest(world, DB, () => 'running')
    world.answers['end'] = { kind: 'error', code: 'timeout', message: 'it waits for a disk' }
    expect(await world.driver.list()).toMatchObject([{ status: 'powered-off' }, { status: 'running' }])
  })

  it('forgets that it pressed the button when the guest starts anew', async () => {
    const world = await openWorld()
    const monitor = await guest(world, WEB, () => 'running')
    await world.driver.shutdown(WEB)
    expect(monitor.received.some((line) => line.includes('"system_powerdown"'))).toBe(true)
    expect(await world.driver.list()).toMatchObject([{ status: 'shutting-down' }])
    monitor.send('{"event": "RESET", "data": {"guest": true}}\n')
    await waitFor('the guest runs', async () => {
      const [run] = await world.driver.list()
      return run?.kind === 'live' && run.status === 'running'
    })
  })

  it('tells the warden the directory, lets the CPUs run when QEMU is there, and not where the guest is wanted paused', async () => {
    const world = await openWorld()
    world.answers['start'] = { kind: 'started', pid: 7 }
    await world.driver.start(spec(WEB), never)
    expect(world.asked()).toMatchObject([
      { kind: 'start', ...WEB, directory: join(world.directory, 'runs', 'web-1.1') },
      { kind: 'resume', ...WEB },
    ])
    await world.driver.start({ ...spec(DB), paused: true }, never)
    expect(world.asked().slice(2)).toMatchObject([{ kind: 'start', ...DB }])
  })

  it('lets no CPU run after a start that failed, nor after one that was given up', async () => {
    const world = await openWorld()
    world.answers['start'] = { kind: 'error', code: 'failed', message: 'no such disk' }
    await expect(world.driver.start(spec(WEB), never)).rejects.toMatchObject({ code: 'failed', message: 'no such disk' })
    const caller = new AbortController()
    caller.abort(new Error('enough'))
    await expect(world.driver.start(spec(DB), caller.signal)).rejects.toThrow('enough')
    expect(world.asked().filter((call) => 'kind' in call && call.kind === 'resume')).toEqual([])
  })

  it('rejects a list that the warden does not answer: nothing is known then', async () => {
    const world = await openWorld()
    world.runs.push({ ...WEB, kind: 'ended', intent: 'off', exitCode: 0, signal: null, words: '' })
    expect(await world.driver.list()).toHaveLength(1)
    await world.driver.close()
    await expect(world.driver.list()).rejects.toMatchObject({ code: 'failed' })
  })
})

function spec(run: Run): StartSpec {
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
