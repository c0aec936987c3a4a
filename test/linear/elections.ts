// Which elections of a watched run are explained: somebody was held up for longer than a follower waits for its leader.
import { type WatchEvent } from '../fixture/stall-watch.ts'

/** An event and the member that noted it. */
export interface Noted {
  readonly member: number
  readonly event: WatchEvent
}

export interface Election {
  readonly term: number
  /** Wall time at which the first member was in that term. */
  readonly at: number
  /** The stall that explains it. */
  readonly stall: Noted | undefined
  /** The stall was no wait for a processor or the disk, but work of the member itself: a defect of the product. */
  readonly ownWork: boolean
  /** What else happened shortly before, at anybody. */
  readonly before: readonly Noted[]
}

/**
 * A follower stands after 10 to 19 ticks of 50 ms. The last heartbeat may have come just after one of these, and just before the leader was held
 * up: two ticks less of a stall are enough.
 */
export const SILENCE_MS = 400
/** The longest wait for a leader, the election itself, and what a sender of the note was late by. */
const BEFORE_MS = 1_500

/** One for each term after that of the first leader, in their order. */
export function electionsIn(noted: readonly Noted[]): readonly Election[] {
  const starts = new Map<number, number>()
  for (const { event } of noted) {
    if (event.kind !== 'role') continue
    starts.set(event.term, Math.min(event.at, starts.get(event.term) ?? Infinity))
  }
  const led = noted.flatMap(({ event }) => (event.kind === 'role' && event.role === 'leader' ? [event.term] : []))
  const terms = [...starts].filter(([term]) => term > Math.min(...led)).toSorted(([a], [b]) => a - b)
  return terms.map(([term, at]) => {
    const near = noted.filter(({ event }) => beginOf(event) <= at && event.at >= at - BEFORE_MS)
    const stall = near.find(({ event }) => event.kind === 'stall' && event.ms >= SILENCE_MS)
    const ownWork = stall?.event.kind === 'stall' && stall.event.ranMs >= SILENCE_MS
    return { term, at, stall, ownWork, before: near.toSorted((a, b) => beginOf(a.event) - beginOf(b.event)) }
  })
}

function beginOf(event: WatchEvent): number {
  return event.kind === 'stall' ? event.at - event.ms : event.at
}

export function eventText({ member, event }: Noted, from: number): string {
  const at = `${((beginOf(event) - from) / 1_000).toFixed(3)} s  member ${member}`
  switch (event.kind) {
    case 'stall':
      return `${at}: ${event.of} held up for ${event.ms} ms, on a processor for ${event.ranMs} ms of it`
    case 'role':
      return `${at}: ${event.role} in term ${event.term}, ${event.leader === 0 ? 'no leader' : `leader ${event.leader}`}`
    case 'link down':
      return `${at}: link to ${event.peer} down (${event.cause})`
  }
}
