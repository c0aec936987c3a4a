// Levels of the x86-64 psABI as flags of the kernel give them.
import { expect, it } from 'vitest'
import { cpuLevel } from '../../src/api/cpu-level.ts'

const V2 = ['cx16', 'lahf_lm', 'popcnt', 'pni', 'sse4_1', 'sse4_2', 'ssse3']
const V3 = [...V2, 'avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe', 'xsave']
const V4 = [...V3, 'avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl']

it.each([
  ['x86-64-v1', []],
  ['x86-64-v2', V2],
  ['x86-64-v3', V3],
  ['x86-64-v4', ['fpu', ...V4, 'amx_tile']],
])('a CPU reaches %s with all flags of it', (level, flags) => {
  expect(cpuLevel(flags)).toBe(level)
})

it('a CPU without one flag of a level stays below it, whatever it has of higher ones', () => {
  for (const missing of V2) expect(cpuLevel(V4.filter((flag) => flag !== missing))).toBe('x86-64-v1')
  for (const missing of V3.slice(V2.length)) expect(cpuLevel(V4.filter((flag) => flag !== missing))).toBe('x86-64-v2')
  for (const missing of V4.slice(V3.length)) expect(cpuLevel(V4.filter((flag) => flag !== missing))).toBe('x86-64-v3')
})
