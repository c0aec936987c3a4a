// What clients send is parsed once, strictly, and every fault is named.
import { describe, expect, it } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import { parseInput, parseJsonBody, parseKey, readBody } from '../../src/api/input.ts'
import { DiskCreateBody, VmCreateBody, WriteQuery } from '../../src/api/types-requests.ts'

function fault(work: () => unknown): OperationError {
  try {
    work()
  } catch (error) {
    if (error instanceof OperationError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('a body', () => {
  const good = { name: 'web', vcpus: 1, memoryMiB: 256 }

  it('comes out as it went in', () => {
    expect(parseInput(VmCreateBody, good, 'body')).toEqual(good)
  })

  it('may not have a field that nobody knows: it is named, with those that are known', () => {
    const error = fault(() => parseInput(DiskCreateBody, { datastore: 'a', name: 'b', sizeBytes: 1, size: 5 }, 'body'))
    expect(error.code).toBe('usage')
    expect(error.reasons).toEqual([
      { code: 'unknown-field', message: 'there is no field "size"; known are datastore, name, sizeBytes, format' },
    ])
  })

  it('is refused for all its faults at once', () => {
    const error = fault(() => parseInput(VmCreateBody, { name: '', vcpus: 1.5, ha: 'maybe', color: 'red' }, 'body'))
    expect(error.reasons.map(({ code }) => code).toSorted()).toEqual([
      'bad-field',
      'bad-field',
      'bad-field',
      'missing-field',
      'unknown-field',
    ])
    expect(error.message).toContain('field "memoryMiB" is missing')
  })

  it('is refused inside its lists too, with the path of the fault', () => {
    const error = fault(() => parseInput(VmCreateBody, { ...good, disks: [{ datastore: 'a', name: 'b', sizeBytes: -1 }] }, 'body'))
    expect(error.message).toContain('disks.0.sizeBytes')
  })

  it.each([
    ['a list', []],
    ['a text', 'x'],
    ['nothing', null],
  ])('is no object when it is %s', (_, body) => {
    expect(fault(() => parseInput(VmCreateBody, body, 'body')).code).toBe('usage')
  })

  it('may be empty where nothing is needed', () => {
    expect(parseJsonBody('')).toEqual({})
    expect(parseJsonBody(' \n')).toEqual({})
  })

  it('that is no JSON says so', () => {
    const error = fault(() => parseJsonBody('{"name": '))
    expect(error.code).toBe('usage')
    expect(error.message).toContain('no JSON')
  })
})

describe('a query', () => {
  it('turns flags into yes and no', () => {
    expect(parseInput(WriteQuery, { dryRun: '1' }, 'query')).toEqual({ dryRun: true })
    expect(parseInput(WriteQuery, { dryRun: '0', reason: 'x' }, 'query')).toEqual({ dryRun: false, reason: 'x' })
  })

  it('takes no other word for a flag', () => {
    expect(fault(() => parseInput(WriteQuery, { dryRun: 'yes' }, 'query')).code).toBe('usage')
  })
})

describe('the idempotency key', () => {
  it('is kept as it is', () => {
    expect(parseKey('abc-123', seededRandom(1))).toBe('abc-123')
    expect(parseKey('k'.repeat(128), seededRandom(1))).toBe('k'.repeat(128))
  })

  it('is a fresh one where none was sent', () => {
    const random = seededRandom(1)
    expect(parseKey(undefined, random)).not.toBe(parseKey(undefined, random))
  })

  it.each(['', 'a b', 'ä', 'k'.repeat(129)])('may not be "%s"', (key) => {
    expect(fault(() => parseKey(key, seededRandom(1))).code).toBe('usage')
  })
})

describe('reading a body', () => {
  const request = (body: string | ReadableStream<Uint8Array>, headers: Record<string, string> = {}): Request =>
    new Request('http://localhost/', { method: 'POST', body, headers, duplex: 'half' })

  it('takes a mebibyte to the last byte', async () => {
    expect(await readBody(request('x'.repeat(1024 ** 2)))).toHaveLength(1024 ** 2)
  })

  it('refuses one byte more, also when nobody announced it', async () => {
    const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024)) })
    await expect(readBody(request('x'.repeat(1024 ** 2 + 1)))).rejects.toMatchObject({ code: 'too-large' })
    await expect(readBody(request(endless))).rejects.toMatchObject({ code: 'too-large' })
  })

  it('keeps characters whole that arrive in two pieces', async () => {
    const bytes = new TextEncoder().encode('"ü€"')
    const pieces = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte))
        controller.close()
      },
    })
    expect(await readBody(request(pieces))).toBe('"ü€"')
  })
})
