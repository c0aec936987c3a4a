// What became of a proposal: applied, surely lost, or nobody knows.
import { describe, expect, it } from 'vitest'
import { PendingProposals, Proposal, type Proposed } from '../../src/consensus/proposals.ts'

/** A proposal in the log at (index, term), and what its caller hears: undefined while it waits. */
function waiting(pending: PendingProposals, index: number, term: number): { readonly heard: () => unknown } {
  const proposal = new Proposal({ kind: 'data', data: Uint8Array.of(1) }, {})
  let outcome: unknown
  proposal.promise.then(
    (done: Proposed) => {
      outcome = done.result
    },
    (error: unknown) => {
      outcome = error instanceof Error && 'data' in error ? error.data : error
    },
  )
  proposal.accepted(index, term)
  pending.add(proposal)
  return { heard: () => outcome }
}

const microtasks = (): Promise<void> => Promise.resolve().then(() => {})

describe('proposals in the log', () => {
  it('hear the result of exactly their entry', async () => {
    const pending = new PendingProposals()
    const callers = [5, 6, 8].map((index) => waiting(pending, index, 2))
    pending.applied(4, 2, 'four')
    await microtasks()
    expect(callers.map(({ heard }) => heard())).toEqual([undefined, undefined, undefined])
    for (const index of [5, 6, 7, 8]) pending.applied(index, 2, `r${index}`)
    await microtasks()
    expect(callers.map(({ heard }) => heard())).toEqual(['r5', 'r6', 'r8'])
    expect(pending.length).toBe(0)
  })

  it('are surely lost once an entry of a later term is applied, at their place or before it', async () => {
    const pending = new PendingProposals()
    const callers = [5, 6, 9].map((index) => waiting(pending, index, 2))
    pending.applied(5, 2, 'five')
    pending.applied(6, 3, 'other')
    await microtasks()
    expect(callers.map(({ heard }) => heard())).toEqual(['five', { kind: 'lost', index: 6, term: 2 }, { kind: 'lost', index: 9, term: 2 }])
  })

  it('wait on when their index was overwritten here by a later term of this leader: another may still commit them', async () => {
    const pending = new PendingProposals()
    const old = waiting(pending, 7, 2)
    const young = waiting(pending, 7, 4)
    pending.applied(6, 2, 'six')
    await microtasks()
    expect([old.heard(), young.heard()]).toEqual([undefined, undefined])
    pending.applied(7, 2, 'the old one')
    await microtasks()
    expect([old.heard(), young.heard()]).toEqual(['the old one', undefined])
    pending.applied(8, 5, 'another leader')
    await microtasks()
    expect(young.heard()).toEqual({ kind: 'lost', index: 7, term: 4 })
  })

  it('of a later term wait on while entries of earlier terms are applied', async () => {
    const pending = new PendingProposals()
    const caller = waiting(pending, 9, 4)
    for (let index = 5; index < 9; index += 1) pending.applied(index, 3, 'x')
    pending.applied(9, 4, 'nine')
    await microtasks()
    expect(caller.heard()).toBe('nine')
  })

  it('that a snapshot skipped have an unknown outcome; those behind it are lost if their term is over', async () => {
    const pending = new PendingProposals()
    const callers = [waiting(pending, 5, 2), waiting(pending, 20, 2), waiting(pending, 21, 2), waiting(pending, 25, 3)]
    pending.skippedTo(20, 3)
    await microtasks()
    expect(callers.map(({ heard }) => heard())).toEqual([
      { kind: 'unknown' },
      { kind: 'unknown' },
      { kind: 'lost', index: 21, term: 2 },
      undefined,
    ])
    pending.applied(25, 3, 'done')
    await microtasks()
    expect(callers[3]?.heard()).toBe('done')
  })

  it('all end with an unknown outcome when the member ends', async () => {
    const pending = new PendingProposals()
    const callers = [5, 6].map((index) => waiting(pending, index, 2))
    pending.giveUpAll('the member has stopped')
    await microtasks()
    expect(callers.map(({ heard }) => heard())).toEqual([{ kind: 'unknown' }, { kind: 'unknown' }])
    expect(pending.length).toBe(0)
  })

  it('may be many: thousands are settled in order', async () => {
    const pending = new PendingProposals()
    const callers = Array.from({ length: 5000 }, (_, at) => waiting(pending, at + 1, 1))
    for (let index = 1; index <= 5000; index += 1) {
      pending.applied(index, 1, index)
      expect(pending.length).toBe(5000 - index)
    }
    await microtasks()
    expect(callers.map(({ heard }) => heard())).toEqual(callers.map((_, at) => at + 1))
  })
})

describe('a caller that stops waiting', () => {
  const reason = new Error('enough')

  it('hears that nothing was proposed, as long as that is so', async () => {
    const controller = new AbortController()
    const proposal = new Proposal({ kind: 'data', data: Uint8Array.of(1) }, { signal: controller.signal })
    controller.abort(reason)
    expect(proposal.settled).toBe(true)
    await expect(proposal.promise).rejects.toMatchObject({ code: 'timeout', data: { kind: 'not-done' }, cause: reason })
  })

  it('had stopped before it called', async () => {
    const proposal = new Proposal({ kind: 'data', data: Uint8Array.of(1) }, { signal: AbortSignal.abort(reason) })
    await expect(proposal.promise).rejects.toMatchObject({ code: 'timeout', data: { kind: 'not-done' } })
  })

  it('hears that the outcome is unknown once it is in the log, and the entry is applied without it', async () => {
    const controller = new AbortController()
    const pending = new PendingProposals()
    const proposal = new Proposal({ kind: 'data', data: Uint8Array.of(1) }, { signal: controller.signal })
    proposal.accepted(5, 2)
    pending.add(proposal)
    const next = waiting(pending, 6, 2)
    controller.abort(reason)
    await expect(proposal.promise).rejects.toMatchObject({ code: 'timeout', data: { kind: 'unknown' }, cause: reason })
    pending.applied(5, 2, 'five')
    pending.applied(6, 2, 'six')
    await microtasks()
    expect(next.heard()).toBe('six')
  })

  it('is let go by the signal once it has its result', async () => {
    const controller = new AbortController()
    const proposal = new Proposal({ kind: 'data', data: Uint8Array.of(1) }, { signal: controller.signal })
    proposal.accepted(5, 2)
    proposal.resolve('done')
    controller.abort(reason)
    expect(await proposal.promise).toEqual({ index: 5, term: 2, result: 'done' })
  })
})
