// What only real processes show: guests outlive their agent, die with their warden, and there is one warden.
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { appendFile, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { realRandom } from '../../src/base/random.ts'
import { type VmId } from '../../src/base/ids.ts'
import { startTicksOf } from '../../src/system/facts.ts'
import { type Run, type StartSpec } from '../../src/vm/driver.ts'
import { runKey } from '../../src/vm/run-rules.ts'
import { WardenClient } from '../../src/vm/warden-client.ts'
import { connectWarden } from '../../src/vm/warden-line.ts'
import { WARDEN_LEDGER, WARDEN_MONITOR, WARDEN_PROTOCOL, WARDEN_SOCKET } from '../../src/vm/warden-protocol.ts'
import { SERIAL_GUEST_KEYS, SERIAL_GUEST_LINE, serialGuestDisk } from '../fixture/guest/serial-guest.ts'
import { errorOf } from '../fixture/error-of.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { pause, waitFor } from '../lab/wait-for.ts'
import { HOLDER_READY } from './driver-holder.ts'
import { DRIVER_VERSION } from './open-driver.ts'
import { DISK_BYTES, QemuWorld } from './qemu-world.ts'

const never = new AbortController().signal
const RUN: Run = { vm: 'web0000000000000' as VmId, epoch: { generation: 1, counter: 1 } }
const NEXT: Run = { ...RUN, epoch: { generation: 1, counter: 2 } }
const THIRD: Run = { vm: 'other00000000000' as VmId, epoch: { generation: 1, counter: 3 } }

describe('an agent that is killed', () => {
  it('leaves its guests alone; the next one adopts the same process and reads on where the console was', async () => {
    const world = await QemuWorld.open()
    const holder = await startHolder(world.directory, await world.spec(RUN))
    const pid = await world.qemuPid(RUN)
    await world.until('the guest prints', async () => (await world.consoleText(RUN)).includes(SERIAL_GUEST_LINE))
    await killed(holder)
    const before = (await world.consoleText(RUN)).length
    await world.replaceAgent()
    expect(await world.driver.list()).toEqual([{ ...RUN, kind: 'live', status: 'running', pid }])
    await world.until('the guest prints on', async () => (await world.consoleText(RUN)).length > before)
    expect((await world.consoleText(RUN)).match(/tick\r\n/g)?.length).toBeGreaterThan(1)
  })
})

describe('the warden', () => {
  it('lives in a session of its own and ignores the signals that end an agent', async () => {
    const world = await QemuWorld.open()
    await world.driver.start(await world.spec(RUN), never)
    const pid = await world.wardenPid()
    // Field 6 of /proc/PID/stat: its session, led by itself.
    expect((await readFile(`/proc/${pid}/stat`, 'utf8')).split(' ')[5]).toBe(String(pid))
    for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.kill(pid, signal)
    await world.driver.pause(RUN)
    expect(await world.driver.list()).toMatchObject([{ status: 'paused' }])
    expect(await world.wardenPid()).toBe(pid)
  })

  it('takes its guests along when it dies, and its lock is free at once', async () => {
    const world = await QemuWorld.open()
    await world.driver.start(await world.spec(RUN), never)
    const qemu = await world.qemuPid(RUN)
    const warden = await world.wardenPid()
    expect(await openFiles(warden)).toContain(join(world.directory, 'vm', 'warden.lock'))
    expect(await openFiles(qemu)).not.toContain(join(world.directory, 'vm', 'warden.lock'))
    process.kill(warden, 'SIGKILL')
    await waitFor('QEMU is gone', async () => (await startTicksOf(qemu)) === undefined, { limitMs: 5_000, everyMs: 5 })
    await world.until('the run is ended', async () => (await world.driver.list())[0]?.kind === 'ended')
    expect(await world.driver.list()).toMatchObject([{ kind: 'ended', intent: 'host-down' }])
    expect(await world.wardenPid()).not.toBe(warden)
  })

  it('kills what a former one left alive, and calls it ended no sooner than it is gone', async () => {
    const world = await QemuWorld.open()
    await world.driver.start(await world.spec(RUN), never)
    await world.driver.end(RUN, 'off')
    await letWardenGo(world)
    // A process that outlived its warden, once noted with its pid and once not, and one of another name that must live.
    const leftover = await sleeper(world, NEXT)
    const unnoted = await sleeper(world, THIRD)
    const stranger = await sleeper(world, THIRD, 'another')
    const ledger = join(world.directory, 'vm', WARDEN_LEDGER)
    const noted = { pid: leftover.pid, startTicks: await startTicksOf(leftover.pid ?? 0) }
    const started = (run: Run) => ({ kind: 'start', ...run, at: 1, directory: runDirectory(world, run), bootId: bootId() })
    const records = [started(NEXT), { kind: 'spawned', ...NEXT, at: 1, ...noted }, started(THIRD)]
    await appendFile(ledger, records.map((record) => `${JSON.stringify(record)}\n`).join(''))
    await world.until('both runs are ended', async () => (await world.driver.list()).every(({ kind }) => kind === 'ended'))
    expect(await world.driver.list()).toMatchObject([{ intent: 'off' }, { intent: 'host-down' }, { intent: 'host-down' }])
    expect([await startTicksOf(leftover.pid ?? 0), await startTicksOf(unnoted.pid ?? 0)]).toEqual([undefined, undefined])
    expect(await startTicksOf(stranger.pid ?? 0)).toBeGreaterThan(0)
  })

  it('looks for no leftovers of another boot: their pids mean other processes by now', async () => {
    const world = await QemuWorld.open()
    await world.driver.end(RUN, 'off')
    await letWardenGo(world)
    const innocent = await sleeper(world, NEXT)
    const noted = { pid: innocent.pid, startTicks: await startTicksOf(innocent.pid ?? 0) }
    const records = [
      { kind: 'start', ...NEXT, at: 1, directory: runDirectory(world, NEXT), bootId: 'the boot before' },
      { kind: 'spawned', ...NEXT, at: 1, ...noted },
    ]
    await appendFile(join(world.directory, 'vm', WARDEN_LEDGER), records.map((record) => `${JSON.stringify(record)}\n`).join(''))
    const runs = await world.driver.list()
    expect(runs).toMatchObject([{ intent: 'off' }, { intent: 'host-down', reasons: [{ message: 'the host was started anew' }] }])
    expect(await startTicksOf(innocent.pid ?? 0)).toBe(noted.startTicks)
  })

  it('is one, however many agents look for it at once', async () => {
    const directory = await temporaryDirectory()
    const clients = Array.from({ length: 5 }, () => client(directory))
    const hellos = await Promise.all(clients.map((one) => one.call({ kind: 'hello', protocol: WARDEN_PROTOCOL })))
    const pids = new Set(hellos.map((hello) => (hello.kind === 'hello' ? hello.pid : 0)))
    expect(pids.size).toBe(1)
    expect(await wardensOf(directory)).toEqual([...pids])
    await clients[0]?.call({ kind: 'exit' })
    await waitFor('the warden is gone', async () => (await wardensOf(directory)).length === 0)
  })

  it('of another version is replaced, but only once no guest runs', async () => {
    const world = await QemuWorld.open()
    await world.driver.start(await world.spec(RUN), never)
    const first = await world.wardenPid()
    await world.replaceAgent('2.0.0')
    expect(await world.driver.list()).toMatchObject([{ kind: 'live', status: 'running' }])
    expect(await world.wardenPid()).toBe(first)
    await world.driver.end(RUN, 'off')
    await world.replaceAgent('2.0.0')
    expect(await world.driver.list()).toMatchObject([{ kind: 'ended', intent: 'off' }])
    const second = await world.wardenPid()
    expect(second).not.toBe(first)
    const line = await world.wardenLine()
    expect(await line.hello()).toMatchObject({ version: '2.0.0', protocol: WARDEN_PROTOCOL })
    line.close()
  })

  it('does not start on a ledger with a damaged line, and the agent hears why', async () => {
    const world = await QemuWorld.open()
    const ledger = join(world.directory, 'vm', WARDEN_LEDGER)
    await world.driver.end(RUN, 'off')
    await letWardenGo(world)
    const intact = await readFile(ledger)
    await writeFile(ledger, Buffer.concat([intact, Buffer.from('{"kind":"star\n{"kind":')]))
    const code = expect.objectContaining({ code: 'failed', message: expect.stringMatching(/runs\.ledger cannot be read, line \d/) })
    await expect(world.driver.list()).rejects.toEqual(code)
    expect(await wardensOf(join(world.directory, 'vm'))).toEqual([])
    await writeFile(ledger, intact)
    expect(await world.driver.list()).toMatchObject([{ kind: 'ended', intent: 'off' }])
  })

  it('goes by itself when nobody asks and nothing runs, and stays while somebody does', async () => {
    const directory = await temporaryDirectory()
    const program = join(import.meta.dirname, '../../src/warden.ts')
    const args = [program, '--directory', directory, '--release', '1', '--idle-limit-ms', '300']
    const warden = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    onTestFinished(() => killed(warden))
    const line = await waitFor('the warden listens', () => connectWarden(join(directory, WARDEN_SOCKET), realClock, () => {}))
    await pause(1_000)
    expect(await line.hello()).toMatchObject({ pid: warden.pid })
    line.close()
    await waitFor('it is gone', () => warden.exitCode !== null)
    expect(warden.exitCode).toBe(0)
  })

  it('answers nonsense with the reason, and serves others on', async () => {
    const world = await QemuWorld.open()
    await world.driver.list()
    const line = await world.wardenLine()
    // A vm id that would lead out of the directory.
    const vm = '../../etc' as VmId
    await expect(line.call({ kind: 'end', vm, epoch: RUN.epoch, intent: 'off', words: '' })).rejects.toMatchObject({
      code: expect.stringMatching(/usage|unreachable/),
    })
    expect(await world.driver.list()).toEqual([])
  })
})

describe('a run', () => {
  it('whose guest panics is ended as a crash before anybody takes it for paused', async () => {
    const world = await QemuWorld.open()
    await world.driver.start(await world.spec(RUN), never)
    await world.until('the guest prints', async () => (await world.consoleText(RUN)).includes(SERIAL_GUEST_LINE))
    const seen = new Set<string>()
    const look = async (): Promise<boolean> => {
      const [run] = await world.driver.list()
      seen.add(run?.kind === 'live' ? run.status : (run?.kind ?? 'none'))
      return run?.kind === 'ended'
    }
    // Once before: on a busy machine the guest may be gone by the first look after the key.
    await look()
    await world.type(RUN, SERIAL_GUEST_KEYS.panic)
    await world.until('the run is ended', look)
    expect([...seen].toSorted()).toEqual(['ended', 'running'])
    expect(await world.driver.list()).toEqual([
      { ...RUN, kind: 'ended', intent: 'crash', reasons: [{ code: 'crash', message: 'the guest panicked' }] },
    ])
  })

  it('that is ended while it starts ends at once, and its start fails', async () => {
    const world = await QemuWorld.open()
    await world.driver.list()
    const line = await world.wardenLine()
    onTestFinished(() => line.close())
    const directory = runDirectory(world, RUN)
    await mkdir(directory, { recursive: true })
    // It never answers QMP.
    const starting = errorOf(line.call({ kind: 'start', ...RUN, argv: ['sleep', '600'], directory }))
    await world.until('it has a process', async () => (await world.driver.list())[0]?.kind === 'live')
    expect(await world.driver.list()).toMatchObject([{ kind: 'live', status: 'starting' }])
    await world.driver.end(RUN, 'off')
    expect(await starting).toMatchObject({ code: 'failed' })
    expect(await world.driver.list()).toMatchObject([{ kind: 'ended', intent: 'off' }])
  })

  it('whose QEMU does not react is killed after its grace', async () => {
    const world = await QemuWorld.open()
    await world.driver.start(await world.spec(RUN), never)
    const pid = await world.qemuPid(RUN)
    process.kill(pid, 'SIGSTOP')
    await world.driver.end(RUN, 'off')
    expect(await startTicksOf(pid)).toBeUndefined()
    expect(await world.driver.list()).toMatchObject([{ kind: 'ended', intent: 'off' }])
  })

  it('that is refused its image by a lock says so', async () => {
    const world = await QemuWorld.open()
    const spec = await world.spec(RUN)
    await world.driver.start(spec, never)
    const other: Run = { vm: 'other00000000000' as VmId, epoch: RUN.epoch }
    await expect(world.driver.start({ ...spec, ...other }, never)).rejects.toThrow(/lock/)
    const ended = (await world.driver.list()).find(({ vm }) => vm === other.vm)
    expect(ended).toMatchObject({ kind: 'ended', intent: 'start-failed', reasons: [{ code: 'image-locked' }] })
  })

  it('that cannot be tried at all uses up its epoch, and tells why', async () => {
    const world = await QemuWorld.open()
    const spec = await world.spec(RUN, { machineType: 'pc,accel=kvm' })
    await expect(world.driver.start(spec, never)).rejects.toMatchObject({ code: 'usage' })
    expect(await world.driver.list()).toMatchObject([{ kind: 'ended', intent: 'start-failed', reasons: [{ code: 'start-failed' }] }])
    await expect(world.driver.start(await world.spec(RUN), never)).rejects.toMatchObject({ code: 'conflict' })
    await world.driver.start(await world.spec(NEXT), never)
  })

  it('runs with the memory, the processors and the disk that were asked for, on the older machine type too', async () => {
    const world = await QemuWorld.open()
    const spec = await world.spec(RUN, { machineType: 'pc-i440fx-10.0', vcpus: 2, memoryMiB: 48 })
    const [disk] = spec.disks
    const content = serialGuestDisk(DISK_BYTES)
    content.fill(0xff, 512, 1024)
    await writeFile(disk?.path ?? '', content)
    await world.driver.start(spec, never)
    await world.until('the guest prints', async () => (await world.consoleText(RUN)).includes(SERIAL_GUEST_LINE))
    await world.type(RUN, SERIAL_GUEST_KEYS.write)
    await world.until('the guest has written', async () => (await world.consoleText(RUN)).includes('W'))
    await world.driver.shutdown(RUN)
    await world.until('the guest is off', async () => {
      const [run] = await world.driver.list()
      return run?.kind === 'live' && run.status === 'powered-off'
    })
    expect((await readFile(disk?.path ?? '')).subarray(512, 516)).toEqual(Buffer.alloc(4))
  })

  it('leaves nothing in its directory once it is forgotten', async () => {
    const world = await QemuWorld.open()
    const runs = join(world.directory, 'vm', 'runs')
    await world.driver.start(await world.spec(RUN), never)
    expect(await readdir(runs)).toEqual([`${RUN.vm}-1.1`])
    await world.driver.end(RUN, 'off')
    expect(await readdir(runs)).toEqual([`${RUN.vm}-1.1`])
    await world.driver.forget(RUN)
    await waitFor('the directory is gone', async () => (await readdir(runs)).length === 0)
  })
})

function runDirectory(world: QemuWorld, run: Run): string {
  return join(world.directory, 'vm', 'runs', runKey(run))
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

/** A process that works in a run's directory, like a QEMU whose monitor is there. */
async function sleeper(world: QemuWorld, run: Run, monitor = WARDEN_MONITOR): Promise<ChildProcess> {
  const cwd = runDirectory(world, run)
  await mkdir(cwd, { recursive: true })
  const child = spawn('sh', ['-c', 'sleep 600; true', monitor], { cwd, stdio: 'ignore' })
  onTestFinished(() => killed(child))
  return child
}

function client(directory: string): WardenClient {
  return new WardenClient({ directory, version: DRIVER_VERSION, clock: realClock, random: realRandom, log: silentLog })
}

/** Whoever names the directory on its command line and is no flock that was just refused. */
async function wardensOf(directory: string): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    const words = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0')
    if (words.includes('--directory') && words.includes(directory) && words[0] !== 'flock') found.push(Number(name))
  }
  return found
}

async function openFiles(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`)
  return Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')))
}

async function letWardenGo(world: QemuWorld): Promise<void> {
  const line = await world.wardenLine()
  expect(await line.askToGo()).toBe(true)
  line.close()
  await waitFor('the warden is gone', async () => (await wardensOf(join(world.directory, 'vm'))).length === 0)
}

async function startHolder(directory: string, spec: StartSpec): Promise<ChildProcess> {
  const program = join(import.meta.dirname, 'driver-holder.ts')
  const holder = spawn(process.execPath, [program, directory, JSON.stringify(spec)], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => killed(holder))
  let text = ''
  holder.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  await waitFor('the holder has started its guest', () => text.includes(HOLDER_READY), { limitMs: 30_000 })
  return holder
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}
