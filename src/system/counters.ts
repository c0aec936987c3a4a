// How much processor and memory a process, or the whole machine, has used so far; load over a window is the difference of two looks.
import { readFile } from 'node:fs/promises'
import { OperationError } from '../base/errors.ts'
import { parseMemInfo, parseProcessStat, readProcess, TICKS_PER_SECOND } from './facts.ts'

export interface ProcessCounters {
  /** User and system time of all threads since the start. */
  readonly cpuSeconds: number
  /** Since its start. */
  readonly uptimeS: number
  readonly residentMiB: number
}

/** Undefined where the process is gone. */
export async function processCounters(pid: number): Promise<ProcessCounters | undefined> {
  const stat = await readProcess(pid, 'stat')
  const status = await readProcess(pid, 'status')
  if (stat === undefined || status === undefined) return undefined
  const { cpuSeconds, startTicks } = parseProcessStat(stat)
  // Seconds since boot, the first of two numbers; the ticks count from there too.
  const sinceBoot = Number.parseFloat(await readFile('/proc/uptime', 'utf8'))
  const uptimeS = Math.max(0, sinceBoot - startTicks / TICKS_PER_SECOND)
  return { cpuSeconds, uptimeS, residentMiB: parseResidentMiB(status) }
}

/** Of /proc/PID/status; a process that is ending has no memory left and no such line. */
export function parseResidentMiB(status: string): number {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024
}

export interface MachineCounters {
  /** Summed over all processors since boot, in ticks. */
  readonly busyTicks: number
  readonly totalTicks: number
  readonly memoryTotalMiB: number
  readonly memoryAvailableMiB: number
}

export async function machineCounters(): Promise<MachineCounters> {
  const memory = parseMemInfo(await readFile('/proc/meminfo', 'utf8'))
  return {
    ...parseMachineStat(await readFile('/proc/stat', 'utf8')),
    memoryTotalMiB: memory.totalMiB,
    memoryAvailableMiB: memory.availableMiB,
  }
}

/** Of /proc/stat. Guest time is already in user and nice (proc(5)); waiting for a disk, and what the outer hypervisor took, is not work. */
export function parseMachineStat(text: string): { readonly busyTicks: number; readonly totalTicks: number } {
  const line = /^cpu +(.*)$/m.exec(text)?.[1]
  const [user, nice, system, idle, iowait, irq, softirq, steal] = (line ?? '').split(' ').map(Number)
  if (user === undefined || nice === undefined || system === undefined || idle === undefined) {
    throw new OperationError('failed', '/proc/stat has no line of all processors')
  }
  const busyTicks = user + nice + system + (irq ?? 0) + (softirq ?? 0)
  return { busyTicks, totalTicks: busyTicks + idle + (iowait ?? 0) + (steal ?? 0) }
}

/** Share of the machine's processors that worked between two looks, 0 to 1. */
export function cpuShare(before: MachineCounters, after: MachineCounters): number {
  const total = after.totalTicks - before.totalTicks
  if (total <= 0) return 0
  return Math.min(1, Math.max(0, (after.busyTicks - before.busyTicks) / total))
}
