// What a VM's wish for a CPU becomes, with and without KVM.
import { describe, expect, it } from 'vitest'
import { cpuArgument } from '../../src/vm/cpu-model.ts'

const BASELINE = 'qemu64-v1,+cx16,+lahf-lm,+popcnt,+pni,+sse4.1,+sse4.2,+ssse3,enforce'

describe('the CPU argument', () => {
  it.each<[string, 'kvm' | 'tcg', string]>([
    ['mesh-baseline', 'kvm', BASELINE],
    ['mesh-baseline', 'tcg', BASELINE],
    ['host', 'kvm', 'host,migratable=on'],
    ['host', 'tcg', BASELINE],
    ['Haswell-v4', 'kvm', 'Haswell-v4,enforce'],
    ['Haswell-v4', 'tcg', 'Haswell-v4'],
  ])('for %s under %s is %s', (cpu, accelerator, expected) => {
    expect(cpuArgument(cpu, accelerator)).toBe(expected)
  })

  it.each(['', 'max,+vmx', '-help', 'a b', '?'])('never carries more than a name (%j)', (cpu) => {
    expect(() => cpuArgument(cpu, 'kvm')).toThrow(expect.objectContaining({ code: 'usage' }))
  })
})
