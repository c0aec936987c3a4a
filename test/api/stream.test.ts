// Streams to clients: bounded, beating, and ended from either side.
import { describe, expect, it } from 'vitest'
import { Queue } from '../../src/base/queue.ts'
import { drain, eventBody, type StreamItem } from '../../src/api/stream.ts'
import { manualClock } from '../fixture/manual-clock.ts'

async function* items(...all: readonly (StreamItem<unknown> | null)[]): AsyncGenerator<StreamItem<unknown> | null, void, undefined> {
  for (const item of all) yield await Promise.resolve(item)
}

async function textOf(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) text += decoder.decode(chunk, { stream: true })
  return text
}

describe('the body of a stream', () => {
  it('writes messages with their ids, and heartbeats as comments', async () => {
    const body = eventBody(items({ data: { a: 'ü' }, id: 7 }, null, { data: 1 }), () => undefined)
    expect(await textOf(body)).toBe('id: 7\ndata: {"a":"ü"}\n\n:\n\ndata: 1\n\n')
  })

  it('makes nothing before the client wants it', async () => {
    let made = 0
    async function* counting(): AsyncGenerator<StreamItem<number>, void, undefined> {
      for (;;) {
        made += 1
        yield await Promise.resolve({ data: made })
      }
    }
    const reader = eventBody(counting(), () => undefined).getReader()
    expect(made).toBe(0)
    await reader.read()
    expect(made).toBe(1)
    await reader.cancel()
  })

  it('tells its maker when the client goes, so that no wait outlives it', async () => {
    const gone = new AbortController()
    let left = false
    async function* waiting(): AsyncGenerator<StreamItem<number>, void, undefined> {
      try {
        yield { data: 1 }
        await new Promise((resolve) => gone.signal.addEventListener('abort', resolve, { once: true }))
      } finally {
        left = true
      }
    }
    const reader = eventBody(waiting(), () => gone.abort()).getReader()
    await reader.read()
    const pending = reader.read()
    await reader.cancel()
    expect(await pending).toEqual({ done: true, value: undefined })
    expect(left).toBe(true)
  })
})

describe('draining a queue', () => {
  it('gives what is in it, in order, then beats for each ten seconds of silence, until its signal', async () => {
    const clock = manualClock()
    const queue = new Queue<number>(5)
    const over = new AbortController()
    const drained = drain(queue, clock, over.signal)
    queue.push(1)
    queue.push(2)
    expect([(await drained.next()).value, (await drained.next()).value]).toEqual([1, 2])
    const beat = drained.next()
    await clock.run(10_000)
    expect(await beat).toEqual({ done: false, value: null })
    const item = drained.next()
    queue.push(3)
    expect((await item).value).toBe(3)
    const end = drained.next()
    over.abort()
    expect(await end).toEqual({ done: true, value: undefined })
  })
})
