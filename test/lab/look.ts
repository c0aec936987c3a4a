// What tests, benches and the demo look at in a running mesh, again and again: through the API, which costs no process a look.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Answer } from '../../src/api/contract.ts'
import { type Machine } from './machine.ts'
import { type MeshHost } from './mesh-lab.ts'
import { waitFor } from './wait-for.ts'

/** A guest boots in seconds on an idle core, and in a minute on a machine that does much else. */
const GUEST_MS = 120_000
const LOOK_MS = 5_000

type Vm = Answer<'vmShow'>

export async function vmOf<M extends Machine>({ api }: MeshHost<M>, vm: string): Promise<Vm> {
  return (await api.call('vmShow', { params: { vm } }, { signal: AbortSignal.timeout(LOOK_MS) })).answer
}

export async function vmsOf<M extends Machine>({ api }: MeshHost<M>): Promise<readonly Vm[]> {
  return (await api.call('vmList', {}, { signal: AbortSignal.timeout(LOOK_MS) })).answer
}

/** Until the VM is as `wanted`, seen through this host; resolves with it. */
export function vmBecomes<M extends Machine>(host: MeshHost<M>, name: string, wanted: (vm: Vm) => boolean): Promise<Vm> {
  const look = async (): Promise<Vm | false> => {
    const vm = await vmOf(host, name)
    if (wanted(vm)) return vm
    throw new Error(JSON.stringify({ state: vm.state, desired: vm.desired, owner: vm.owner, fault: vm.fault }))
  }
  return waitFor(`VM ${name} on ${host.name} to be as wanted`, look, { limitMs: GUEST_MS, everyMs: 100 })
}

export async function consoleLog<M extends Machine>({ api }: MeshHost<M>, vm: string): Promise<string> {
  const { answer } = await api.call('consoleLog', { params: { vm }, query: {} }, { signal: AbortSignal.timeout(LOOK_MS) })
  return Buffer.from(answer.base64, 'base64').toString('latin1')
}

/** Until what the VM's console says from `start` on matches, asked for through this host. */
export function consoleSays<M extends Machine>(host: MeshHost<M>, vm: string, pattern: RegExp, start = 0): Promise<RegExpExecArray> {
  const look = async (): Promise<RegExpExecArray> => {
    const log = (await consoleLog(host, vm)).slice(start)
    const match = pattern.exec(log)
    if (match === null) throw new Error(`it said ${JSON.stringify(log.slice(-300))}`)
    return match
  }
  return waitFor(`${pattern.source} on the console of ${vm}, through ${host.name}`, look, { limitMs: GUEST_MS, everyMs: 200 })
}

/** The same for what it says from now on. */
export async function consoleSaysNext<M extends Machine>(host: MeshHost<M>, vm: string, pattern: RegExp): Promise<void> {
  await consoleSays(host, vm, pattern, (await consoleLog(host, vm)).length)
}

/** One of the first ticks after a boot: on a busy machine a message of the kernel may fall into a line, and spoil that one. */
export const FIRST_TICKS = /tick [1-9]\r\n/

/** A guest that has just been started, or is about to boot, is up and ticks. */
export function bootsNow<M extends Machine>(host: MeshHost<M>, vm: string): Promise<void> {
  return consoleSaysNext(host, vm, FIRST_TICKS)
}

export async function statusOf<M extends Machine>({ api }: MeshHost<M>): Promise<Answer<'status'>> {
  return (await api.call('status', {}, { signal: AbortSignal.timeout(LOOK_MS) })).answer
}

/** Once this host sees all others up, and a leader. */
export function wholeMesh<M extends Machine>(host: MeshHost<M>): Promise<true> {
  const look = async (): Promise<boolean> => {
    const { quorum, hosts } = await statusOf(host)
    return quorum === 'ok' && hosts.up === hosts.total
  }
  return waitFor(`all hosts to be up, seen by ${host.name}`, look, { limitMs: 60_000, everyMs: 50 })
}

/** Until this host has heard that the mesh went on in that generation without it. */
export function leftBehind<M extends Machine>(host: MeshHost<M>, generation: number): Promise<true> {
  const look = async (): Promise<boolean> => {
    const { alarms } = await statusOf(host)
    return alarms.some(({ code, message }) => code === 'superseded' && message.includes(`went on in generation ${generation}`))
  }
  return waitFor(`${host.name} to hear of generation ${generation}`, look, { limitMs: 60_000, everyMs: 50 })
}

export interface Leadership<M extends Machine> {
  readonly leader: MeshHost<M>
  readonly others: readonly MeshHost<M>[]
}

/** Who leads, once all hosts agree on it. */
export function leadership<M extends Machine>(hosts: readonly MeshHost<M>[]): Promise<Leadership<M>> {
  const look = async (): Promise<Leadership<M> | false> => {
    const said = await Promise.all(hosts.map(async (host) => (await statusOf(host)).leader?.name))
    const leader = hosts.find(({ name }) => name === said[0])
    return leader !== undefined && new Set(said).size === 1 && { leader, others: hosts.filter((host) => host !== leader) }
  }
  return waitFor('a leader that all hosts know', look, { limitMs: 60_000, everyMs: 50 })
}

/** The guests whose QEMU runs on this host, by name, with its pid. */
export async function guestPids<M extends Machine>({ host }: MeshHost<M>): Promise<ReadonlyMap<string, number>> {
  const { stdout } = await host.exec(['pgrep', '-a', 'qemu-system'])
  return new Map([...stdout.matchAll(/^(\d+) .*? guest=([^,]+),/gm)].map(([, pid, name = '']) => [name, Number(pid)]))
}

/** The starts that a host's run ledger holds, as `VM epoch`. */
export function startsNoted<M extends Machine>({ dataDir }: MeshHost<M>): readonly string[] {
  const lines = readFileSync(join(dataDir, 'vms/runs.ledger'), 'utf8').trim().split('\n')
  return lines.flatMap((line) => {
    const record: unknown = JSON.parse(line)
    return isStart(record) ? [`${record.vm} ${record.epoch.generation}.${record.epoch.counter}`] : []
  })
}

interface StartRecord {
  readonly vm: string
  readonly epoch: { readonly generation: number; readonly counter: number }
}

function isStart(record: unknown): record is StartRecord {
  return typeof record === 'object' && record !== null && 'kind' in record && record.kind === 'start'
}
