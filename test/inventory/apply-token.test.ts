// Join tokens as people make and revoke them.
import { describe, expect, it } from 'vitest'
import { tokenState } from '../../src/inventory/apply-token.ts'
import { type Command } from '../../src/inventory/command.ts'
import { type Token } from '../../src/inventory/model.ts'
import { aMesh, hostId, HOUR_MS, START_AT, TestLog, tokenId } from '../fixture/inventory.ts'

const DAY_MS = 24 * HOUR_MS

function create(changes: Partial<Extract<Command, { kind: 'token-create' }>> = {}): Extract<Command, { kind: 'token-create' }> {
  return { kind: 'token-create', id: tokenId('t'), publicKey: 'key', role: 'host', uses: 10, expiresAt: START_AT + DAY_MS, ...changes }
}

describe('token-create', () => {
  it('keeps the public half, unused', () => {
    const log = aMesh()
    expect(log.try(create(), { at: START_AT + 9 })).toEqual({ kind: 'done', value: { id: 't' } })
    expect(log.now.tokens.get(tokenId('t'))).toEqual({
      id: 't',
      publicKey: 'key',
      role: 'host',
      uses: 10,
      usedBy: [],
      expiresAt: START_AT + DAY_MS,
      revoked: false,
      createdAt: START_AT + 9,
    })
    expect(JSON.stringify(log.now.events)).not.toContain('"key"')
  })

  it.each([
    ['no use', { uses: 0 }, 'range'],
    ['too many uses', { uses: 1_001 }, 'range'],
    ['half a use', { uses: 1.5 }, 'range'],
    ['an end that has passed', { expiresAt: START_AT }, 'token-expired'],
  ])('refuses %s', (_what, changes, code) => {
    expect(aMesh().try(create(changes), { at: START_AT })).toMatchObject({ kind: 'refused', reasons: [{ code }] })
  })

  it('refuses an id that exists', () => {
    const log = aMesh()
    log.do(create())
    expect(log.try(create())).toMatchObject({ reasons: [{ code: 'id-taken' }] })
  })

  it('drops tokens that expired a week before, and none that a person may still ask about', () => {
    const log = aMesh()
    log.do(create())
    log.do(create({ id: tokenId('u'), expiresAt: START_AT + 9 * DAY_MS }), { at: START_AT + 8 * DAY_MS - 1 })
    expect([...log.now.tokens.keys()]).toEqual(['t', 'u'])
    log.do(create({ id: tokenId('v'), expiresAt: START_AT + 9 * DAY_MS }), { at: START_AT + 8 * DAY_MS })
    expect([...log.now.tokens.keys()]).toEqual(['u', 'v'])
  })

  it('refuses the 1,001st', () => {
    const { now } = aMesh()
    const token = (at: number): Token => ({
      ...create(),
      id: tokenId(`t-${String(at).padStart(4, '0')}`),
      usedBy: [],
      revoked: false,
      createdAt: START_AT,
    })
    const tokens = new Map(Array.from({ length: 1_000 }, (_, at) => [token(at).id, token(at)]))
    const log = new TestLog({ ...now, tokens: new Map([...tokens].slice(0, 999)) })
    log.do(create({ id: tokenId('u') }))
    expect(log.try(create({ id: tokenId('v') }))).toMatchObject({ kind: 'refused', reasons: [{ code: 'tokens-max' }] })
  })
})

describe('token-revoke', () => {
  it('makes the token useless, and may be repeated', () => {
    const log = aMesh()
    log.do(create())
    log.do({ kind: 'token-revoke', id: tokenId('t') })
    expect(log.now.tokens.get(tokenId('t'))?.revoked).toBe(true)
    expect(log.lastEvents()).toEqual(['token.revoked'])
    log.do({ kind: 'token-revoke', id: tokenId('t') })
    expect(log.lastEvents()).toEqual([])
  })

  it('of a token that is none is not found', () => {
    expect(aMesh().try({ kind: 'token-revoke', id: tokenId('t') })).toMatchObject({ kind: 'refused', code: 'not-found' })
  })
})

describe('the state of a token', () => {
  const token: Token = { ...create({ uses: 1 }), usedBy: [], revoked: false, createdAt: START_AT }
  it.each([
    ['usable', token, START_AT],
    ['usable', token, START_AT + DAY_MS - 1],
    ['expired', token, START_AT + DAY_MS],
    ['used-up', { ...token, usedBy: [hostId('h2')] }, START_AT],
    ['revoked', { ...token, revoked: true, usedBy: [hostId('h2')] }, START_AT + DAY_MS],
  ] as const)('is %s', (state, of, at) => expect(tokenState(of, at)).toBe(state))
})
