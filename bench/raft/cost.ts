// What processes have used up so far, from /proc.
import { readFileSync } from 'node:fs'

export interface Cost {
  readonly cpuMs: number
  readonly writtenBytes: number
}

/** What USER_HZ is on every Linux that people run: /proc/PID/stat counts in these. */
const TICKS_PER_S = 100

/** Of all of them together. */
export function costOf(pids: readonly number[]): Cost {
  let cpuMs = 0
  let writtenBytes = 0
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Behind the name in parentheses: state is field 3, user and system time are 14 and 15 (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    cpuMs += ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_S
    writtenBytes += Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1])
  }
  return { cpuMs, writtenBytes }
}
