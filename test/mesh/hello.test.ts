// Hellos: who may talk to whom, and messages that are none.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { type GenerationId, type HostId, type MeshId } from '../../src/base/ids.ts'
import { packBody } from '../../src/mesh/body.ts'
import { refusedError } from '../../src/mesh/greeting.ts'
import { encodeHello, encodeRefusal, type Hello, judgeHello, parseHello, parseRefusal, refusingGeneration } from '../../src/mesh/hello.ts'

const HOST = 'peer' as HostId
const MINE: Hello = {
  protocol: 1,
  meshId: 'mesh-a' as MeshId,
  generation: 3,
  generationId: 'g3' as GenerationId,
  bootId: 'boot',
  version: '1.0',
  addresses: ['198.18.0.1:7400'],
}

it('a hello is the same after writing and reading', () => {
  expect(parseHello(encodeHello(MINE))).toEqual(MINE)
})

it('two of the same mesh, generation and protocol may talk, whatever their version', () => {
  expect(judgeHello(MINE, { ...MINE, bootId: 'other', version: '2.0', addresses: [] }, HOST)).toBeUndefined()
})

it.each([
  ['protocol', { protocol: 2 }, /protocol 2/],
  ['wrong-mesh', { meshId: 'mesh-b' as MeshId }, /mesh-b.*mesh-a/],
  ['wrong-generation', { generation: 2 }, /generation 2.*generation 3/],
  ['wrong-generation', { generation: 4 }, /generation 4.*generation 3/],
  ['wrong-generation', { generationId: 'other' as GenerationId }, /another generation 3.*recovered apart/],
  ['wrong-generation', { generationId: null }, /another generation 3/],
] as const)('otherwise not, for the reason %s, which names both sides', (code, change, message) => {
  expect(judgeHello(MINE, { ...MINE, ...change }, HOST)).toMatchObject({ code, message: expect.stringMatching(message) })
})

it('whoever is refused for its generation hears which one it met', () => {
  const refusal = judgeHello(MINE, { ...MINE, generation: 2, generationId: null }, HOST)
  if (refusal === undefined) throw new Error('a refusal wanted')
  const heard = parseRefusal(encodeRefusal(refusal))
  expect(heard.generation).toEqual({ generation: 3, generationId: 'g3' })
  expect(refusingGeneration(refusedError(heard))).toEqual({ generation: 3, generationId: 'g3' })
})

it('a refusal for anything else names no generation', () => {
  const refusal = judgeHello(MINE, { ...MINE, protocol: 9 }, HOST)
  if (refusal === undefined) throw new Error('a refusal wanted')
  expect(refusingGeneration(refusedError(parseRefusal(encodeRefusal(refusal))))).toBeUndefined()
})

describe('what is no hello is refused:', () => {
  it.each(Object.keys(MINE))('one without %s', (field) => {
    const rest = Object.fromEntries(Object.entries(MINE).filter(([key]) => key !== field))
    expect(() => parseHello(packBody(rest))).toThrow(expect.objectContaining({ code: 'usage' }))
  })

  it('any bytes, with no other error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          parseHello(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(OperationError)
        }
      }),
    )
  })
})

it('of the addresses only texts are taken, and not more than a host can have', () => {
  const addresses = [7, ...Array.from({ length: 100 }, (_, index) => `198.18.0.${index}:7400`)]
  const parsed = parseHello(packBody({ ...MINE, addresses })).addresses
  expect(parsed).toHaveLength(64)
  expect(parsed[0]).toBe('198.18.0.0:7400')
})

describe('a refusal', () => {
  it('brings its reason over', () => {
    const refusal = { code: 'cloned-identity', message: 'twice' } as const
    expect(parseRefusal(encodeRefusal(refusal))).toEqual(refusal)
  })
  it('of a newer version, or damaged, is still one', () => {
    expect(parseRefusal(packBody({ code: 'bad-weather', message: 'rain' }))).toEqual({ code: 'unknown', message: 'rain' })
    expect(parseRefusal(Uint8Array.of(0xc1))).toEqual({ code: 'unknown', message: expect.any(String) })
  })
})
