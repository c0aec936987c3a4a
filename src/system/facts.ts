// What this machine is: its processor, its memory, which boot of it this is. Read from /proc and /sys, parsed by pure functions.
import { readdir, readFile } from 'node:fs/promises'
import { OperationError } from '../base/errors.ts'
import { errnoOf, readTextIfExists } from './files.ts'

export interface MachineFacts {
  readonly cpu: { readonly cores: number; readonly mhz: number; readonly model: string; readonly flags: readonly string[] }
  readonly memoryMiB: number
  readonly bootId: string
}

export async function machineFacts(): Promise<MachineFacts> {
  const cpu = parseCpuInfo(await readFile('/proc/cpuinfo', 'utf8'))
  const maxKhz = Number(await readTextIfExists('/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq'))
  return {
    // What cpuinfo prints is the speed of this moment; the maximum is the fact, where the kernel tells it.
    cpu: { ...cpu, mhz: maxKhz > 0 ? Math.round(maxKhz / 1000) : cpu.mhz },
    memoryMiB: parseMemInfo(await readFile('/proc/meminfo', 'utf8')).totalMiB,
    bootId: await readBootId(),
  }
}

/** Different after every boot of the kernel. */
export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}

/** Of /proc/cpuinfo on x86: logical processors, and model, speed (MHz, rounded) and flags of the first. */
export function parseCpuInfo(text: string): MachineFacts['cpu'] {
  const field = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(text)?.[1]?.trim() ?? ''
  const cores = text.match(/^processor\s*:/gm)?.length ?? 0
  if (cores === 0) throw new OperationError('failed', '/proc/cpuinfo lists no processor')
  return {
    cores,
    mhz: Math.round(Number(field('cpu MHz')) || 0),
    model: field('model name'),
    flags: field('flags')
      .split(' ')
      .filter((flag) => flag !== '')
      .toSorted(),
  }
}

export interface MemoryFacts {
  readonly totalMiB: number
  /** What the kernel thinks it could give to new work without swapping. */
  readonly availableMiB: number
}

/** Of /proc/meminfo. */
export function parseMemInfo(text: string): MemoryFacts {
  const mib = (name: string): number => {
    const kib = new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(text)?.[1]
    if (kib === undefined) throw new OperationError('failed', `/proc/meminfo has no ${name}`)
    return Math.floor(Number(kib) / 1024)
  }
  return { totalMiB: mib('MemTotal'), availableMiB: mib('MemAvailable') }
}

/** A process as its (pid, start time) name it for ever; a pid alone is given out again. */
export interface ProcessName {
  readonly pid: number
  /** Field 22 of /proc/PID/stat: clock ticks from boot to its start. */
  readonly startTicks: number
}

/** Start time of a process; undefined where there is none, or where nothing is left of it but the entry that its parent has not read. */
export async function startTicksOf(pid: number): Promise<number | undefined> {
  const stat = await readProcess(pid, 'stat')
  if (stat === undefined) return undefined
  const { state, startTicks } = parseProcessStat(stat)
  return state === 'Z' && (await threadsOf(pid)) <= 1 ? undefined : startTicks
}

export interface ProcessStat {
  /** `R`, `S`, `D`, `Z` … as in proc(5). */
  readonly state: string
  readonly cpuSeconds: number
  readonly startTicks: number
}

/** USER_HZ: what the kernel shows to programs is fixed to 100 ticks a second on x86 (proc(5)). */
export const TICKS_PER_SECOND = 100

/** Of /proc/PID/stat. The second field, the name, may hold spaces and brackets: everything counts from the last bracket. */
export function parseProcessStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const number = (field: number): number => Number(fields[field - 3])
  const stat = { state: fields[0] ?? '', cpuSeconds: (number(14) + number(15)) / TICKS_PER_SECOND, startTicks: number(22) }
  if (!Number.isFinite(stat.cpuSeconds) || !Number.isSafeInteger(stat.startTicks)) {
    throw new OperationError('failed', `/proc/PID/stat is not as proc(5) has it: ${text.slice(0, 100)}`)
  }
  return stat
}

/** A file of /proc/PID; undefined where the process is gone. */
export async function readProcess(pid: number, name: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${pid}/${name}`, 'utf8')
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

/** A thread in an uninterruptible wait keeps a killed process's files, and with them its locks. */
async function threadsOf(pid: number): Promise<number> {
  try {
    return (await readdir(`/proc/${pid}/task`)).length
  } catch (error) {
    if (isGone(error)) return 0
    throw error
  }
}

/** ESRCH: it went while we read. */
function isGone(error: unknown): boolean {
  const errno = errnoOf(error)
  return errno === 'ENOENT' || errno === 'ESRCH'
}
