// Which x86-64 level a host's CPU reaches, from the flags that its kernel names (x86-64 psABI, table 3.1). Pure.

/** Flags that each level adds, as /proc/cpuinfo spells them (`lahf_lm` is LAHF-SAHF, `abm` is LZCNT, `pni` is SSE3). */
const LEVELS: readonly (readonly [name: string, flags: readonly string[]])[] = [
  ['x86-64-v2', ['cx16', 'lahf_lm', 'popcnt', 'pni', 'sse4_1', 'sse4_2', 'ssse3']],
  ['x86-64-v3', ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe', 'xsave']],
  ['x86-64-v4', ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl']],
]

export function cpuLevel(flags: readonly string[]): string {
  const has = new Set(flags)
  let level = 'x86-64-v1'
  for (const [name, wanted] of LEVELS) {
    if (!wanted.every((flag) => has.has(flag))) break
    level = name
  }
  return level
}
