// Sizes, times and shares as people read them. Pure.

/** `340 MHz`, `1.2 GHz`. */
export function formatMHz(mhz: number | null): string {
  if (mhz === null) return '-'
  return mhz < 1000 ? `${Math.round(mhz)} MHz` : `${(mhz / 1000).toFixed(1)} GHz`
}

/** `512 MiB`, `1.5 GiB`. */
export function formatMiB(mib: number | null): string {
  if (mib === null) return '-'
  return mib < 1024 ? `${Math.round(mib)} MiB` : `${Number((mib / 1024).toPrecision(3))} GiB`
}

/** The two largest units: `45s`, `3m 12s`, `5h 3m`, `12d 4h`. */
export function formatSeconds(seconds: number | null): string {
  if (seconds === null) return '-'
  const whole = Math.floor(seconds)
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return '0s'
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0)
  return shown.map(([count, unit]) => `${count}${unit}`).join(' ')
}

/** `12 %`. */
export function formatShare(share: number | null): string {
  return share === null ? '-' : `${Math.round(share * 100)} %`
}

/** `2026-11-25 13:04:05`, UTC as all times of the mesh. */
export function formatTime(iso: string): string {
  return iso
    .replace('T', ' ')
    .replace(/\.\d+Z$/, '')
    .replace(/Z$/, '')
}
