// What the QEMU of this host is and can: version, versioned machine types, and whether KVM really works.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock } from '../base/clock.ts'
import { hasCode } from '../base/errors.ts'
import { type HostFacts } from '../inventory/model.ts'
import { runProgram } from '../system/run-program.ts'
import { probeAccelerator } from './kvm-probe.ts'

/** The one program that runs guests. */
export const QEMU = 'qemu-system-x86_64'

const ASK_LIMIT_MS = 10_000

export interface QemuFactsOptions {
  /** The probe's answer is kept in it. */
  readonly dataDir: string
  readonly bootId: string
  readonly clock: Clock
  readonly qemu?: string
}

export type QemuFacts = Pick<HostFacts, 'qemuVersion' | 'machineTypes' | 'accelerator'>

/** A host without QEMU has version null and no machine types: it can be a witness, or run no VMs until QEMU is there. */
export async function qemuFacts(options: QemuFactsOptions): Promise<QemuFacts> {
  const { dataDir, bootId, clock, qemu = QEMU } = options
  const ask = (...args: readonly string[]): Promise<string | undefined> => output(qemu, args, clock)
  const version = await ask('--version')
  if (version === undefined) return { qemuVersion: null, machineTypes: [], accelerator: 'tcg' }
  await mkdir(dataDir, { recursive: true })
  const accelerator = await probeAccelerator({ qemu, file: join(dataDir, 'accelerator.json'), bootId, clock })
  return { qemuVersion: parseVersion(version), machineTypes: parseMachineTypes((await ask('-machine', 'help')) ?? ''), accelerator }
}

/** Undefined where the program cannot be run. */
async function output(program: string, args: readonly string[], clock: Clock): Promise<string | undefined> {
  try {
    return (await runProgram({ program, args, clock, timeoutMs: ASK_LIMIT_MS })).stdout
  } catch (error) {
    if (hasCode(error, 'failed')) return undefined
    throw error
  }
}

/** `10.0.2` of "QEMU emulator version 10.0.2 (Debian …)". */
export function parseVersion(text: string): string | null {
  return /version (\d+(?:\.\d+)+)/.exec(text)?.[1] ?? null
}

/**
 * Of `-machine help`: the versioned types of PCs, those of the default family (q35) before those of the older (i440fx), newest first in
 * each. Names without a version mean something else to every QEMU: they are left out.
 */
export function parseMachineTypes(text: string): readonly string[] {
  const found = [...text.matchAll(/^(pc-(?:q35|i440fx)-[\d.]+) /gm)].map((match) => match[1] ?? '')
  return ['pc-q35-', 'pc-i440fx-'].flatMap((family) =>
    found.filter((name) => name.startsWith(family)).toSorted((one, other) => compareVersions(other, one, family)),
  )
}

function compareVersions(one: string, other: string, family: string): number {
  const [left, right] = [one, other].map((name) => name.slice(family.length).split('.').map(Number))
  const length = Math.max(left?.length ?? 0, right?.length ?? 0)
  for (let at = 0; at < length; at += 1) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
