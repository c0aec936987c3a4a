// Where the time of a fail-over went, as the logs of the survivors tell it.
import { type LabHost } from './lab.ts'
import { type MeshHost } from './mesh-lab.ts'

/** Milliseconds, one phase after the other. */
export interface FailoverPhases {
  /** From the death until the first survivor knew no leader: a closed connection, or an election time-out of silence. */
  readonly noticed: number
  /** Until one of them was elected: waiting whose turn it is, pre-vote, vote, two syncs. */
  readonly elected: number
  /** Until it had committed and applied an entry of its own term. */
  readonly leading: number
  /** Until the write was done that waited for all that: read, proposal, answer. */
  readonly written: number
}

export interface FailoverMoments {
  /** Wall time in milliseconds, comparable between processes of one machine. */
  readonly diedAt: number
  readonly writtenAt: number
}

/** Undefined where a second election was needed, or the log lacks a line. */
export function phasesOf(survivors: readonly MeshHost<LabHost>[], { diedAt, writtenAt }: FailoverMoments): FailoverPhases | undefined {
  const lines = survivors.flatMap(({ host }) => linesOf(host.log('agent'))).filter(({ time }) => time >= diedAt && time <= writtenAt + 1)
  const first = (message: string): number => Math.min(...lines.filter(({ msg }) => msg === message).map(({ time }) => time))
  const noticedAt = first('no leader is known')
  const electedAt = first('a leader is known')
  const leadingAt = first('leading: controllers start')
  if (!(diedAt <= noticedAt && noticedAt <= electedAt && electedAt <= leadingAt && leadingAt <= writtenAt)) return undefined
  return {
    noticed: noticedAt - diedAt,
    elected: electedAt - noticedAt,
    leading: leadingAt - electedAt,
    written: writtenAt - leadingAt,
  }
}

interface Line {
  readonly time: number
  readonly msg: string
}

/** A line may be half written. */
function linesOf(log: string): readonly Line[] {
  return log.split('\n').flatMap((text) => {
    try {
      const line: unknown = JSON.parse(text)
      return isLine(line) ? [line] : []
    } catch {
      return []
    }
  })
}

function isLine(line: unknown): line is Line {
  return typeof line === 'object' && line !== null && 'time' in line && typeof line.time === 'number' && 'msg' in line
}
