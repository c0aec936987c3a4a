// Writes through a follower while the leader is being killed: what each caller heard, and what the mesh remembers of it.
import { callOnce } from '../../src/api/client-retry.ts'
import { realClock } from '../../src/base/clock.ts'
import { OperationError } from '../../src/base/errors.ts'
import { realRandom } from '../../src/base/random.ts'
import { leadership } from './look.ts'
import { type MeshHost } from './mesh-lab.ts'
import { pause } from './wait-for.ts'

export interface TriedWrite {
  readonly reason: string
  /** `done`, or the code of the error that the caller got. */
  readonly heard: string
  /** False where the caller was told that the outcome is not known. */
  readonly outcomeKnown: boolean
  /** How often the mesh did it: events with this reason. */
  readonly done: number
}

/** A caller's patience: long enough for any election. */
const TRY_LIMIT_MS = 30_000

/** Each write is under way when the leader's agent is killed: they begin `beginMs` before the kill (negative: after it). */
export async function writesWhileLeaderDies(
  hosts: readonly MeshHost[],
  round: number,
  beginMs: readonly number[],
): Promise<{ readonly died: MeshHost; readonly writes: readonly TriedWrite[] }> {
  const { leader, others } = await leadership(hosts)
  const [through] = others
  if (through === undefined) throw new Error('a mesh of one host has no follower')
  const first = Math.max(...beginMs)
  const tries = beginMs.map(async (before, number) => {
    await pause(first - before)
    return attempt(through, `round ${round}, write ${number}`, 512 + round * 100 + number)
  })
  await pause(first)
  await leader.killAgent()
  const heard = await Promise.all(tries)
  const events = await eventReasons(through)
  return { died: leader, writes: heard.map((write) => ({ ...write, done: events.filter((reason) => reason === write.reason).length })) }
}

async function attempt({ api }: MeshHost, reason: string, value: number): Promise<Omit<TriedWrite, 'done'>> {
  const input = { params: { key: 'placement.memory-reserve-mib' }, query: { reason }, body: { value } }
  const options = { clock: realClock, random: realRandom, signal: AbortSignal.timeout(TRY_LIMIT_MS) }
  try {
    await callOnce(api, 'configSet', input, options)
    return { reason, heard: 'done', outcomeKnown: true }
  } catch (error) {
    if (!(error instanceof OperationError)) return { reason, heard: String(error), outcomeKnown: false }
    return { reason, heard: error.code, outcomeKnown: error.code === 'no-quorum' || error.code === 'refused' }
  }
}

async function eventReasons({ api }: MeshHost): Promise<readonly (string | null)[]> {
  const query = { type: 'config.changed', limit: '1000' }
  const { answer } = await api.call('eventList', { query }, { signal: AbortSignal.timeout(TRY_LIMIT_MS) })
  return answer.map(({ reason }) => reason)
}
