// The rules of a host's runs: what may start, what ends, and that a rewritten ledger says what the long one said.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type VmId } from '../../src/base/ids.ts'
import { type Run } from '../../src/vm/driver.ts'
import {
  applyRecord,
  EMPTY_LEDGER,
  foldRecords,
  recordsOf,
  runKey,
  startRefusal,
  type Ledger,
  type LedgerRecord,
} from '../../src/vm/run-rules.ts'

const WEB = 'web' as VmId
const EXIT = { exitCode: 0, signal: null, words: '' } as const

function run(counter: number, generation = 1, vm: VmId = WEB): Run {
  return { vm, epoch: { generation, counter } }
}

const start = (wanted: Run): LedgerRecord => ({ kind: 'start', ...wanted, at: 1, directory: '/run/1', bootId: 'boot' })
const stop = (wanted: Run, intent: 'off' | 'crash' = 'off', words = ''): LedgerRecord => ({ kind: 'stop', ...wanted, at: 2, intent, words })
const gone = (wanted: Run, intent: 'crash' | 'host-down' = 'crash', words = ''): LedgerRecord => ({
  kind: 'gone',
  ...wanted,
  at: 3,
  ...EXIT,
  intent,
  words,
})
const forget = (wanted: Run): LedgerRecord => ({ kind: 'forget', ...wanted, at: 4 })

describe('a start', () => {
  it('is allowed to a VM that was never seen, and to a newer epoch of one that ended', () => {
    expect(startRefusal(EMPTY_LEDGER, run(1))).toBeNull()
    const ended = foldRecords([start(run(1)), stop(run(1)), gone(run(1))])
    expect(startRefusal(ended, run(2))).toBeNull()
    expect(startRefusal(ended, run(1, 2))).toBeNull()
  })

  it.each<[string, readonly LedgerRecord[], Run, string]>([
    ['of the epoch that runs', [start(run(5))], run(5), 'epoch-used'],
    ['of the epoch that ended', [start(run(5)), gone(run(5))], run(5), 'epoch-used'],
    ['of the epoch that was forgotten', [start(run(5)), gone(run(5)), forget(run(5))], run(5), 'epoch-used'],
    ['of an epoch that was ended before its start', [stop(run(5))], run(5), 'epoch-used'],
    ['of an older epoch', [start(run(5)), gone(run(5))], run(4), 'epoch-used'],
    ['of a higher counter in an older generation', [start(run(5, 2)), gone(run(5, 2))], run(9, 1), 'epoch-used'],
    ['while an older run is live', [start(run(5))], run(6), 'still-live'],
    ['while an older run is being ended', [start(run(5)), stop(run(5))], run(6), 'still-live'],
  ])('is refused %s', (_, records, wanted, code) => {
    expect(startRefusal(foldRecords(records), wanted)).toMatchObject({ code })
  })

  it('of one VM does not touch another', () => {
    expect(startRefusal(foldRecords([start(run(5))]), run(1, 1, 'db' as VmId))).toBeNull()
  })
})

describe('an end', () => {
  it('of a live run counts when its process is gone, with the intent noted first', () => {
    const stopping = foldRecords([start(run(1)), stop(run(1), 'off'), stop(run(1), 'crash')])
    expect(stopping.runs.get(runKey(run(1)))).toMatchObject({ kind: 'live', noted: { intent: 'off' } })
    expect(applyRecord(stopping, gone(run(1))).runs.get(runKey(run(1)))).toMatchObject({ kind: 'ended', intent: 'off' })
  })

  it('that nobody noted has the intent and the words of the exit', () => {
    const ended = foldRecords([start(run(1)), gone(run(1), 'host-down', 'the host was started anew')])
    expect(ended.runs.get(runKey(run(1)))).toMatchObject({ kind: 'ended', intent: 'host-down', words: 'the host was started anew' })
  })

  it('keeps the words of whoever ended the run before those of QEMU, and those of QEMU where nobody said anything', () => {
    const words = (noted: string): unknown => {
      const ended = foldRecords([start(run(1)), stop(run(1), 'crash', noted), gone(run(1), 'crash', 'qemu: bye')])
      const found = ended.runs.get(runKey(run(1)))
      return found?.kind === 'ended' && found.words
    }
    expect(words('the guest panicked')).toBe('the guest panicked')
    expect(words('')).toBe('qemu: bye')
  })

  it('is final: neither a second exit nor a second stop changes it', () => {
    const ended = foldRecords([start(run(1)), stop(run(1)), gone(run(1))])
    expect(applyRecord(ended, gone(run(1), 'host-down'))).toEqual(ended)
    expect(applyRecord(ended, stop(run(1), 'crash'))).toEqual(ended)
  })

  it('of a run that never started ends it at once', () => {
    const ended = foldRecords([stop(run(1), 'off', 'given back')])
    expect(ended.runs.get(runKey(run(1)))).toEqual({
      kind: 'ended',
      ...run(1),
      endedAt: 2,
      intent: 'off',
      exitCode: null,
      signal: null,
      words: 'given back',
    })
  })

  it('of a forgotten or older epoch leaves no trace', () => {
    const forgotten = foldRecords([start(run(5)), gone(run(5)), forget(run(5))])
    expect(applyRecord(forgotten, stop(run(5)))).toEqual(forgotten)
    expect(applyRecord(forgotten, stop(run(4)))).toEqual(forgotten)
  })

  it('cannot be replaced by forgetting a live run', () => {
    const live = foldRecords([start(run(1))])
    expect(applyRecord(live, forget(run(1)))).toEqual(live)
  })
})

describe('whatever is recorded', () => {
  const vms = fc.constantFrom(WEB, 'db' as VmId)
  const runs = fc.record({
    vm: vms,
    epoch: fc.record({ generation: fc.integer({ min: 1, max: 2 }), counter: fc.integer({ min: 1, max: 4 }) }),
  })
  const intents = fc.constantFrom('off' as const, 'crash' as const, 'start-failed' as const, 'host-down' as const)
  const step = fc.record({
    run: runs,
    what: fc.constantFrom('start', 'spawned', 'stop', 'gone', 'forget'),
    intent: intents,
    words: fc.constantFrom('', 'w'),
  })

  /** As the ledger does: a start only where the rules allow it, an exit and a process only of what is live. */
  function play(steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[]): { ledger: Ledger; started: string[] } {
    let ledger = EMPTY_LEDGER
    const started: string[] = []
    for (const { run: one, what, intent, words } of steps) {
      const live = ledger.runs.get(runKey(one))?.kind === 'live'
      if (what === 'start' && startRefusal(ledger, one) === null) {
        ledger = applyRecord(ledger, start(one))
        started.push(runKey(one))
      }
      if (what === 'spawned' && live) ledger = applyRecord(ledger, { kind: 'spawned', ...one, at: 1, pid: 7, startTicks: 8 })
      if (what === 'stop') ledger = applyRecord(ledger, { kind: 'stop', ...one, at: 2, intent, words })
      if (what === 'gone' && live) ledger = applyRecord(ledger, { kind: 'gone', ...one, at: 3, ...EXIT, intent, words })
      if (what === 'forget') ledger = applyRecord(ledger, forget(one))
    }
    return { ledger, started }
  }

  it('no run starts twice, no VM has two live runs, and epochs of a VM only grow', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { ledger, started } = play(steps)
        expect(new Set(started).size).toBe(started.length)
        const live = [...ledger.runs.values()].filter(({ kind }) => kind === 'live').map(({ vm }) => vm)
        expect(new Set(live).size).toBe(live.length)
        for (const vm of [WEB, 'db']) {
          const epochs = started.filter((key) => key.startsWith(`${vm}-`))
          expect(epochs).toEqual(epochs.toSorted())
        }
      }),
    )
  })

  it('a rewritten ledger adds up to the same state, and refuses the same starts after everything was forgotten', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), runs, (steps, probe) => {
        const { ledger } = play(steps)
        const again = foldRecords(recordsOf(ledger))
        expect(again).toEqual(ledger)
        expect(startRefusal(again, probe)).toEqual(startRefusal(ledger, probe))
      }),
    )
  })
})
