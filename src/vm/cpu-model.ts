// From the CPU that a VM asks for to QEMU's -cpu argument, pure.
import { OperationError } from '../base/errors.ts'

/**
 * What every host of a mesh can offer: x86-64-v2 (Nehalem, 2008, and all since), as QEMU's oldest 64-bit model and the features that the
 * level adds. Spelled out and versioned, so that it means the same to every QEMU that a guest may move to.
 *
 * Source: x86-64 psABI, "Micro-Architecture Levels"; docs/system/cpu-models-x86.rst.inc of QEMU.
 */
const BASELINE = ['qemu64-v1', '+cx16', '+lahf-lm', '+popcnt', '+pni', '+sse4.1', '+sse4.2', '+ssse3']

/** `cpu` as in VmSpec. Throws `usage` for what is no name of a model: QEMU would read options from it. */
export function cpuArgument(cpu: string, accelerator: 'kvm' | 'tcg'): string {
  // enforce: refuse to start where the host lacks a feature, instead of starting with less.
  if (cpu === 'mesh-baseline') return [...BASELINE, 'enforce'].join(',')
  if (cpu === 'host') return accelerator === 'kvm' ? 'host,migratable=on' : [...BASELINE, 'enforce'].join(',')
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(cpu)) throw new OperationError('usage', `CPU model "${cpu}" is no name of a QEMU CPU model`)
  // Emulation lacks a feature or two of every real processor; what is missing is the same for one QEMU version on every host.
  return accelerator === 'kvm' ? `${cpu},enforce` : cpu
}
