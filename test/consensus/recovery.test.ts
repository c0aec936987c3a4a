// Log and state as a crash can leave them: mended when that is safe, refused otherwise.
import { describe, expect, it } from 'vitest'
import { recover } from '../../src/consensus/recovery.ts'
import { type LoadedState, type SnapshotMeta, type StoredLog } from '../../src/consensus/types.ts'
import { entries } from '../contract/log-store.ts'

const CONF = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false }
const OLD_CONF = { ...CONF, voters: [1] }

function meta(index: number, term: number, conf = CONF): SnapshotMeta {
  return { index, term, conf }
}

/** Starts after 10 (term 2), holds 11..15 of term 2 and 16..18 of term 4; voted for 3 in term 5. */
function log(commit = 12): StoredLog {
  return {
    hardState: { term: 5, vote: 3, commit },
    snapshot: meta(10, 2, OLD_CONF),
    entries: [...entries(11, 15, 2), ...entries(16, 18, 4)],
  }
}

function state(index: number, term: number, replaced = false): LoadedState {
  return { meta: meta(index, term), replaced }
}

describe('log and state belong together when', () => {
  it.each([
    ['the state stands in the middle of the log', 14, 2],
    ['the state stands where the log starts', 10, 2],
    ['the state stands at the last entry', 18, 4],
  ])('%s', (_name, index, term) => {
    for (const replaced of [false, true]) {
      const { log: found, restart } = recover(log(), state(index, term, replaced))
      expect(restart).toBeUndefined()
      expect(found).toEqual(log(Math.max(12, index)))
    }
  })

  it('both are empty', () => {
    const empty = { hardState: { term: 0, vote: 0, commit: 0 }, snapshot: meta(0, 0), entries: [] }
    expect(recover(empty, state(0, 0))).toEqual({ log: empty, restart: undefined })
  })
})

describe('a received snapshot that is in the state but not in the log', () => {
  const restarted = (index: number, term: number, hardState: object): object => ({
    log: { hardState, snapshot: meta(index, term), entries: [] },
    restart: expect.objectContaining(meta(index, term)),
  })

  it('restarts the log after it, and keeps the vote of the current term', () => {
    expect(recover(log(), state(40, 5, true))).toEqual(restarted(40, 5, { term: 5, vote: 3, commit: 40 }))
    expect(recover(log(), state(40, 4, true))).toEqual(restarted(40, 4, { term: 5, vote: 3, commit: 40 }))
  })

  it('brings a term that is news, in which there was no vote', () => {
    expect(recover(log(), state(40, 7, true))).toEqual(restarted(40, 7, { term: 7, vote: 0, commit: 40 }))
  })

  it('takes the place of entries that contradict it', () => {
    expect(recover(log(), state(17, 5, true))).toEqual(restarted(17, 5, { term: 5, vote: 3, commit: 17 }))
    expect(recover(log(), state(10, 3, true))).toEqual(restarted(10, 3, { term: 5, vote: 3, commit: 10 }))
  })

  it('is what a new group, or a first snapshot, looks like beside an empty log', () => {
    const empty = { hardState: { term: 0, vote: 0, commit: 0 }, snapshot: meta(0, 0), entries: [] }
    expect(recover(empty, state(1, 1, true))).toEqual(restarted(1, 1, { term: 1, vote: 0, commit: 1 }))
  })
})

describe('refused as damaged:', () => {
  it.each([
    ['a state behind the start of the log', state(9, 2), /state stands at entry 9, the log starts after 10/],
    ['a state behind the start of the log, replaced or not', state(9, 2, true), /starts after 10/],
    ['an empty state beside a log that was cut', state(0, 0), /starts after 10/],
    ['a state beyond the end of the log', state(19, 5), /state stands at entry 19, the log ends at 18/],
    ['a state at an entry of another term', state(17, 5), /entry 17 of term 5, the log has term 4/],
    ['a state at a start of another term', state(10, 1), /entry 10 of term 1, the log has term 2/],
  ])('%s', (_name, loaded, message) => {
    expect(() => recover(log(), loaded)).toThrow(
      expect.objectContaining({
        code: 'failed',
        message: expect.stringMatching(message),
        data: expect.objectContaining({ kind: 'damaged' }),
      }),
    )
  })
})
