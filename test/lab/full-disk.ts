// A small disk for the stores of an agent, full at will: a tmpfs in a mount namespace of the agent's own, gone with it.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type DamageRounds, memberOf, type RoundOutcome } from './damage-rounds.ts'
import { type Machine } from './machine.ts'
import { type MeshHost } from './mesh-lab.ts'
import { waitFor } from './wait-for.ts'

/** Stores reopen every 15 s at the latest, on a machine that may do much else. */
const LIMIT_MS = 60_000

/** Why nobody can mount here, undefined where root can. */
export function mountUnavailable(): string | undefined {
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', '/mnt'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'a small disk needs root that may mount: unshare -m'
  }
}

/** In front of the agent's command: its stores are moved to 8 MiB of their own first. */
export function onSmallDisk(dataDir: string): readonly string[] {
  const move = 'mkdir -p "$raft" "$disk"; mount -t tmpfs -o size=8m tmpfs "$disk"; cp -a "$raft/." "$disk"; mount --move "$disk" "$raft"'
  return ['unshare', '-m', 'sh', '-ec', `raft=$1/raft disk=$1/disk; shift; ${move}; exec "$@"`, 'small-disk', dataDir]
}

/**
 * The disk of `host`, whose agent runs on a small one, fills up under writes through `other` until its member rests, and is emptied again.
 * Resolves when it is a member again, with all that was acknowledged.
 */
export async function fullDiskRound<M extends Machine>(
  rounds: DamageRounds<M>,
  host: MeshHost<M>,
  other: MeshHost<M>,
): Promise<RoundOutcome> {
  const before = memberOf(host)
  const writing = rounds.write(other, 5)
  await onDiskOf(host, 'cat /dev/zero >"$1/filler" 2>/dev/null || true')
  await writing
  let why = ''
  await waitFor(
    `${host.name} to rest, as its disk is full`,
    async () => {
      await rounds.write(other, 2)
      const alarm = (await alarmsAt(other)).find((message) => message.startsWith(`host ${host.name} takes no part: its disk failed`))
      why = alarm ?? ''
      return alarm !== undefined
    },
    { limitMs: LIMIT_MS, everyMs: 200 },
  )
  // Tries to open its stores on the full disk are part of what it has to survive.
  await rounds.write(other, 10)
  const from = performance.now()
  await onDiskOf(host, 'rm "$1/filler"')
  const wrong = await rounds.everywhere()
  const backMs = performance.now() - from
  return { fate: memberOf(host) === before ? 'healed' : 'repaired', why: why.replace(/^.*is tried again: /, ''), backMs, wrong }
}

async function alarmsAt<M extends Machine>({ api }: MeshHost<M>): Promise<readonly string[]> {
  const { answer } = await api.call('status', {}, { signal: AbortSignal.timeout(5_000) })
  return answer.alarms.map(({ message }) => message)
}

async function onDiskOf<M extends Machine>({ host, agent, dataDir }: MeshHost<M>, script: string): Promise<void> {
  const { code, stderr } = await host.exec(['nsenter', '-t', String(agent.pid), '-m', 'sh', '-c', script, 'disk', join(dataDir, 'raft')])
  if (code !== 0) throw new Error(`${script}: exit code ${code}\n${stderr}`)
}
