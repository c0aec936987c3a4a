// Outside data is read field by field, and what is wrong is named.
import { describe, expect, it } from 'vitest'
import { asCount, asFields, asFlag, asList, asOneOf, asText, orNull, parseJson } from '../../src/base/parse.ts'

describe('reading outside data', () => {
  it('gives typed values for what is as expected', () => {
    const fields = asFields(parseJson('{"name":"web","count":3,"on":true,"list":[1],"kind":"a","none":null}', 'it'), 'it')
    expect(asText(fields['name'], 'name')).toBe('web')
    expect(asCount(fields['count'], 'count')).toBe(3)
    expect(asFlag(fields['on'], 'on')).toBe(true)
    expect(asList(fields['list'], 'list')).toEqual([1])
    expect(asOneOf(fields['kind'], ['a', 'b'], 'kind')).toBe('a')
    expect(orNull(fields['none'], 'none', asText)).toBeNull()
    expect(orNull(fields['name'], 'name', asText)).toBe('web')
  })

  it.each<[string, () => unknown, RegExp]>([
    ['no JSON', () => parseJson('{', 'the answer'), /the answer is no JSON: \{/],
    ['a list for an object', () => asFields([], 'it'), /it must be an object, found \[\]/],
    ['null for an object', () => asFields(null, 'it'), /it must be an object, found null/],
    ['an object for a list', () => asList({}, 'list'), /list must be a list, found \{\}/],
    ['a missing text', () => asText(undefined, 'name'), /name must be a text, found undefined/],
    ['a fraction', () => asCount(1.5, 'count'), /count must be a whole number, found 1.5/],
    ['a negative number', () => asCount(-1, 'count'), /count must be a whole number, found -1/],
    ['a number in quotes', () => asCount('1', 'count'), /count must be a whole number, found "1"/],
    ['a number beyond 2^53', () => asCount(2 ** 53, 'count'), /count must be a whole number/],
    ['a text for a flag', () => asFlag('true', 'on'), /on must be true or false/],
    ['another word', () => asOneOf('c', ['a', 'b'], 'kind'), /kind must be one of a, b, found "c"/],
    ['undefined where null is allowed', () => orNull(undefined, 'none', asText), /none must be a text/],
  ])('refuses %s as bad usage, with the value found', (_, read, message) => {
    expect(read).toThrow(expect.objectContaining({ code: 'usage', message: expect.stringMatching(message) }))
  })

  it('shows only the beginning of a huge value', () => {
    expect(() => asText(['x'.repeat(10_000)], 'name')).toThrow(expect.objectContaining({ message: expect.stringMatching(/^.{1,150}$/) }))
  })
})
