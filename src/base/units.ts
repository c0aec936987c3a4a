// Sizes as people write them; the unit stands in every name.
import { OperationError } from './errors.ts'

const FACTORS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 }

/** Bytes of `10G`, `512M`, `64MiB`, `1048576`. Throws `usage` naming the text otherwise. */
export function parseSizeBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text.trim())
  const bytes = match === null ? Number.NaN : Number(match[1]) * (FACTORS[(match[2] ?? '').toUpperCase()] ?? Number.NaN)
  if (!Number.isSafeInteger(Math.round(bytes)) || bytes <= 0) {
    throw new OperationError('usage', `size "${text}" is not a positive number with unit K, M, G or T (powers of 1024), for example 10G`)
  }
  return Math.round(bytes)
}

/** MiB of `1024` (already MiB), `1G`, `512M`. */
export function parseMemoryMiB(text: string): number {
  const bytes = /^\d+$/.test(text.trim()) ? parseSizeBytes(`${text.trim()}M`) : parseSizeBytes(text)
  const memoryMiB = bytes / 1024 ** 2
  if (!Number.isInteger(memoryMiB)) throw new OperationError('usage', `memory "${text}" is not a whole number of MiB`)
  return memoryMiB
}

/** `1.5 GiB`: three significant digits at most, powers of 1024. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${Number(value.toPrecision(3))} ${units[unit] ?? 'B'}`
}

const DURATIONS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of `500ms`, `30s`, `15m`, `24h`, `7d`. Throws `usage` naming the text otherwise. */
export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim())
  const factor = match === null ? undefined : DURATIONS[match[2] ?? '']
  if (match === null || factor === undefined) {
    throw new OperationError('usage', `duration "${text}" is not a number with unit ms, s, m, h or d, for example 24h`)
  }
  return Math.round(Number(match[1]) * factor)
}
