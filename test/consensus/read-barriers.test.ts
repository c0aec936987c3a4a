// Reads that wait: never served by a round that began before them, never forgotten when an answer is lost.
import { describe, expect, it } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { ReadBarriers } from '../../src/consensus/read-barriers.ts'

const aborted = (): OperationError => new OperationError('timeout', 'aborted')
const microtasks = (): Promise<void> => Promise.resolve().then(() => {})

/** A read, and what its caller heard: an index, an error code, or undefined while it waits. */
function read(barriers: ReadBarriers, signal: AbortSignal = new AbortController().signal): { readonly heard: () => unknown } {
  let outcome: unknown
  barriers.add(signal, aborted).then(
    (index) => {
      outcome = index
    },
    (error: unknown) => {
      outcome = error instanceof OperationError ? error.code : error
    },
  )
  return { heard: () => outcome }
}

describe('reads', () => {
  it('of one turn share a request; it serves them once its index is applied', async () => {
    const barriers = new ReadBarriers(100, 10)
    const reads = [read(barriers), read(barriers)]
    expect(barriers.begin()).toBe(100)
    expect(barriers.begin()).toBeUndefined()
    barriers.confirm([{ requestId: 100, index: 7 }], 5)
    barriers.applied(6)
    await microtasks()
    expect(reads.map(({ heard }) => heard())).toEqual([undefined, undefined])
    barriers.applied(7)
    await microtasks()
    expect(reads.map(({ heard }) => heard())).toEqual([7, 7])
  })

  it('that came after a request are not served by its answer', async () => {
    const barriers = new ReadBarriers(100, 10)
    const early = read(barriers)
    barriers.begin()
    const late = read(barriers)
    barriers.confirm([{ requestId: 100, index: 7 }], 9)
    await microtasks()
    expect([early.heard(), late.heard()]).toEqual([7, undefined])
    expect(barriers.begin()).toBe(101)
    barriers.confirm([{ requestId: 101, index: 9 }], 9)
    await microtasks()
    expect(late.heard()).toBe(9)
  })

  it('are asked for again with a new request each time; the answer to any of them serves, the others are forgotten', async () => {
    for (const answered of [100, 102, 104]) {
      const barriers = new ReadBarriers(100, 10)
      const first = read(barriers)
      barriers.begin()
      const second = read(barriers)
      barriers.begin()
      expect(barriers.retry()).toEqual([102, 103])
      expect(barriers.retry()).toEqual([104, 105])
      barriers.confirm([{ requestId: answered, index: 7 }], 7)
      await microtasks()
      expect([first.heard(), second.heard()]).toEqual([7, undefined])
      expect(barriers.retry()).toEqual([106])
      barriers.confirm(
        [
          { requestId: 100, index: 8 },
          { requestId: 104, index: 8 },
          { requestId: 55, index: 8 },
        ],
        8,
      )
      await microtasks()
      expect(second.heard()).toBeUndefined()
    }
  })

  it('are served at different times when their indexes are', async () => {
    const barriers = new ReadBarriers(1, 10)
    const first = read(barriers)
    barriers.begin()
    const second = read(barriers)
    barriers.begin()
    barriers.confirm(
      [
        { requestId: 2, index: 9 },
        { requestId: 1, index: 6 },
      ],
      6,
    )
    await microtasks()
    expect([first.heard(), second.heard()]).toEqual([6, undefined])
    barriers.applied(20)
    await microtasks()
    expect(second.heard()).toBe(9)
  })

  it('end when their caller stops waiting, wherever they are, and are asked for no more', async () => {
    const barriers = new ReadBarriers(1, 10)
    const controller = new AbortController()
    const confirmed = read(barriers, controller.signal)
    barriers.begin()
    barriers.confirm([{ requestId: 1, index: 9 }], 0)
    const asked = read(barriers, controller.signal)
    barriers.begin()
    const fresh = read(barriers, controller.signal)
    const before = read(barriers, AbortSignal.abort())
    controller.abort()
    await microtasks()
    expect([confirmed, asked, fresh, before].map(({ heard }) => heard())).toEqual(['timeout', 'timeout', 'timeout', 'timeout'])
    expect(barriers.begin()).toBeUndefined()
    expect(barriers.retry()).toEqual([])
    barriers.applied(9)
  })

  it('end with the member, wherever they are', async () => {
    const barriers = new ReadBarriers(1, 10)
    const reads = [read(barriers)]
    barriers.begin()
    barriers.confirm([{ requestId: 1, index: 9 }], 0)
    reads.push(read(barriers))
    barriers.begin()
    reads.push(read(barriers))
    barriers.rejectAll(new OperationError('no-quorum', 'stopped'))
    await microtasks()
    expect(reads.map(({ heard }) => heard())).toEqual(['no-quorum', 'no-quorum', 'no-quorum'])
    expect(barriers.begin()).toBeUndefined()
    expect(barriers.retry()).toEqual([])
  })

  it('are limited in number until one ends', async () => {
    const barriers = new ReadBarriers(1, 2)
    const controller = new AbortController()
    read(barriers, controller.signal)
    expect(barriers.full).toBe(false)
    read(barriers)
    expect(barriers.full).toBe(true)
    controller.abort()
    await microtasks()
    expect(barriers.full).toBe(false)
    read(barriers)
    expect(barriers.full).toBe(true)
    barriers.begin()
    barriers.confirm([{ requestId: 1, index: 0 }], 0)
    await microtasks()
    expect(barriers.full).toBe(false)
  })
})
