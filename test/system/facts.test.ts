// What the kernel tells of machine and processes, read from its own formats.
import { spawn } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { cpuShare, machineCounters, parseMachineStat, parseResidentMiB, processCounters } from '../../src/system/counters.ts'
import { machineFacts, parseCpuInfo, parseMemInfo, parseProcessStat, startTicksOf } from '../../src/system/facts.ts'
import { waitFor } from '../lab/wait-for.ts'

const CPU_INFO = `processor	: 0
vendor_id	: GenuineIntel
model name	: Intel(R) Xeon(R) Processor @ 2.80GHz
cpu MHz		: 2799.998
flags		: sse2 fpu  ssse3
processor	: 1
model name	: another
cpu MHz		: 1000.000
flags		: fpu
`

const MEM_INFO = `MemTotal:       24683520 kB
MemFree:        23700000 kB
MemAvailable:   24000511 kB
`

describe('the facts of a machine', () => {
  it('are those of its first processor, the number of all, and its memory', () => {
    expect(parseCpuInfo(CPU_INFO)).toEqual({
      cores: 2,
      mhz: 2800,
      model: 'Intel(R) Xeon(R) Processor @ 2.80GHz',
      flags: ['fpu', 'sse2', 'ssse3'],
    })
    expect(parseMemInfo(MEM_INFO)).toEqual({ totalMiB: 24105, availableMiB: 23437 })
  })

  it('are refused where the format is another', () => {
    expect(() => parseCpuInfo('CPU implementer : 0x41\n')).toThrow(/no processor/)
    expect(() => parseMemInfo('MemTotal: 1 kB\n')).toThrow(/MemAvailable/)
    expect(() => parseProcessStat('1 (x) S 1')).toThrow(/proc/)
    expect(() => parseMachineStat('intr 1\n')).toThrow(/processors/)
  })

  it('can be read here', async () => {
    const facts = await machineFacts()
    expect(facts.cpu.cores).toBeGreaterThan(0)
    expect(facts.cpu.mhz).toBeGreaterThan(100)
    expect(facts.cpu.flags).toContain('sse2')
    expect(facts.memoryMiB).toBeGreaterThan(100)
    expect(facts.bootId).toMatch(/^[0-9a-f-]{36}$/)
  })
})

describe('a process', () => {
  const stat = (name: string, state: string): string =>
    `4711 (${name}) ${state} 1 4711 4711 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 98765 1000000 2000 18446744073709551615`

  it.each(['qemu', 'a b', 'evil) R 1 (x'])('named %j has its state, time and start read past the name', (name) => {
    expect(parseProcessStat(stat(name, 'S'))).toEqual({ state: 'S', cpuSeconds: 3, startTicks: 98765 })
  })

  it('has its resident memory, and none while it ends', () => {
    expect(parseResidentMiB('Name:\tx\nVmRSS:\t    2048 kB\n')).toBe(2)
    expect(parseResidentMiB('Name:\tx\n')).toBe(0)
  })

  it('counts what it used, and is named by pid and start until it is gone', async () => {
    const child = spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' })
    const pid = child.pid ?? 0
    const startTicks = await startTicksOf(pid)
    expect(startTicks).toBeGreaterThan(0)
    const counters = await waitFor('some CPU time', async () => {
      const found = await processCounters(pid)
      return found !== undefined && found.cpuSeconds > 0 && found
    })
    expect(counters.residentMiB).toBeGreaterThan(0.1)
    expect(counters.uptimeS).toBeGreaterThan(0)
    expect(counters.uptimeS).toBeLessThan(20)
    expect(await startTicksOf(pid)).toBe(startTicks)
    child.kill('SIGKILL')
    await waitFor('it is gone', async () => (await startTicksOf(pid)) === undefined)
    expect(await processCounters(pid)).toBeUndefined()
  })

  it('that only its parent has not read yet is gone', async () => {
    // The shell becomes a program that never reads its children's end.
    const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 600'], { stdio: ['ignore', 'pipe', 'ignore'] })
    const pid = Number(await new Promise<Buffer>((resolve) => parent.stdout.once('data', resolve)))
    await waitFor('it is gone', async () => (await startTicksOf(pid)) === undefined)
    parent.kill('SIGKILL')
  })
})

describe('the load of a machine', () => {
  const counters = (busyTicks: number, totalTicks: number) => ({ busyTicks, totalTicks, memoryTotalMiB: 0, memoryAvailableMiB: 0 })

  it('counts work, not waiting for disks or for the outer hypervisor, and guests once', () => {
    const line = 'cpu  100 10 20 1000 300 5 5 60 90 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n'
    expect(parseMachineStat(line)).toEqual({ busyTicks: 140, totalTicks: 1500 })
  })

  it('is the share of work between two looks, and nothing in no time', () => {
    expect(cpuShare(counters(100, 1_000), counters(150, 1_200))).toBe(0.25)
    expect(cpuShare(counters(100, 1_000), counters(100, 1_000))).toBe(0)
    // Some kernels let idle and waiting times step back.
    expect(cpuShare(counters(100, 1_000), counters(90, 1_100))).toBe(0)
    expect(cpuShare(counters(100, 1_000), counters(300, 1_100))).toBe(1)
  })

  it('can be read here', async () => {
    const now = await machineCounters()
    expect(now.totalTicks).toBeGreaterThan(now.busyTicks)
    expect(now.memoryTotalMiB).toBeGreaterThan(now.memoryAvailableMiB)
  })
})
