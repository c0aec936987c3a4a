// Rounds of kill -9 at random moments under load: what was acknowledged is there afterwards, what was refused is not.
import { between, type Random } from '../../src/base/random.ts'
import { KvClient, type Reply } from '../fixture/kv-client.ts'
import { type RaftProcesses } from '../fixture/raft-processes.ts'
import { pause } from '../lab/wait-for.ts'

export interface RoundResult {
  readonly killed: readonly number[]
  readonly writes: readonly Write[]
  /** Acknowledged writes that are not there, and refused ones that are. */
  readonly wrong: readonly string[]
  /** From the kill until a leader served again, restarts included. */
  readonly backMs: number
}

/** Every write has a key of its own. */
export interface Write {
  readonly key: string
  readonly heard: 'acknowledged' | 'unknown' | 'refused'
}

const WRITERS = 16
/** A process of Node takes a second to start on an idle core, and many on a busy one. */
const BACK_MS = 60_000
const REFUSED_PAUSE_MS = 5
/** Reads under way at a time. */
const READS = 256

/** The value of a key that was written: long enough that a batch of them is more than a sector. */
function valueOf(key: string): string {
  return key.padEnd(100, '.')
}

export async function killRound(group: RaftProcesses, round: number, random: Random): Promise<RoundResult> {
  const leader = await group.leader(BACK_MS)
  const stop = new AbortController()
  const writing = Array.from({ length: WRITERS }, (_, writer) => load(leader.clients, `${round}.${writer}`, stop.signal))
  await pause(between(random, 50, 600))
  const killed = victims(group, leader.id, random)
  const from = performance.now()
  await Promise.all(killed.map((id) => group.signal(id, 'SIGKILL')))
  await pause(between(random, 0, 200))
  stop.abort()
  await Promise.all(killed.map((id) => group.start(id)))
  const writes = (await Promise.all(writing)).flat()
  await group.leader(BACK_MS)
  const backMs = performance.now() - from
  const through = group.nodes[between(random, 0, group.nodes.length - 1)]
  const wrong = await wrongIn(writes, through?.clients ?? '')
  return { killed, writes, wrong, backMs }
}

/** The leader in two of three rounds, alone or with one or all others; else one or both of the others. */
function victims(group: RaftProcesses, leader: number, random: Random): number[] {
  const others = group.nodes.map(({ id }) => id).filter((id) => id !== leader)
  const some = others.slice(0, between(random, 0, others.length))
  if (random.float() < 0.67) return [leader, ...some]
  return some.length > 0 ? some : others
}

/** What one client sends until it is told to stop. */
async function load(address: string, name: string, signal: AbortSignal): Promise<Write[]> {
  const writes: Write[] = []
  let client: KvClient | undefined
  for (let at = 0; !signal.aborted; at += 1) {
    client = client?.isOpen === true ? client : await KvClient.connect(address, 10_000).catch(() => undefined)
    const key = `${name}.${at}`
    const reply: Reply | undefined = await client?.put(key, Buffer.from(valueOf(key)))
    if (reply?.kind === 'ok') writes.push({ key, heard: 'acknowledged' })
    else if (reply?.kind === 'unknown') writes.push({ key, heard: 'unknown' })
    else if (reply !== undefined) writes.push({ key, heard: 'refused' })
    if (reply?.kind !== 'ok') await pause(REFUSED_PAUSE_MS)
  }
  client?.close()
  return writes
}

/** Looks for all of them through the member that serves clients at `address`. */
export async function wrongIn(writes: readonly Write[], address: string): Promise<string[]> {
  const client = await KvClient.connect(address, BACK_MS)
  const wrong: string[] = []
  const known = writes.filter(({ heard }) => heard !== 'unknown')
  for (let at = 0; at < known.length; at += READS) {
    const looks = known.slice(at, at + READS).map(async ({ key, heard }) => {
      const there = await readUntilAnswered(client, key)
      if (there !== (heard === 'acknowledged' ? valueOf(key) : undefined)) wrong.push(`${heard} ${key}: ${there ?? 'not there'}`)
    })
    await Promise.all(looks)
  }
  client.close()
  return wrong
}

/** Undefined: there is no such key. */
async function readUntilAnswered(client: KvClient, key: string): Promise<string | undefined> {
  for (;;) {
    const reply = await client.get(key)
    if (reply.kind === 'ok') return reply.value.toString()
    if (reply.kind === 'absent') return undefined
    if (!client.isOpen) throw new Error(`no read of ${key}: ${reply.kind}`)
    await pause(REFUSED_PAUSE_MS)
  }
}
