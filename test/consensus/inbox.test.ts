// The inbox: bounded in number and in bulk, in order, and it says what it dropped.
import { expect, it } from 'vitest'
import { Inbox } from '../../src/consensus/inbox.ts'
import { type Message } from '../../src/consensus/types.ts'

const CONF = { voters: [1], outgoing: [], learners: [], learnersNext: [], autoLeave: false }
const light = (commit: number): Message => ({ kind: 'heartbeat', from: 1, to: 2, term: 1, commit, readContext: 0, held: 0, holdings: [] })
const append = (count: number): Message => ({
  kind: 'append',
  from: 1,
  to: 2,
  term: 1,
  index: 0,
  logTerm: 0,
  commit: 0,
  entries: Array.from({ length: count }, (_, at) => ({ index: at + 1, term: 1, kind: 'normal' as const, data: Uint8Array.of(1) })),
})
const BULKY: readonly Message[] = [
  append(1),
  { kind: 'snapshot', from: 1, to: 2, term: 1, snapshot: { index: 1, term: 1, conf: CONF } },
  { kind: 'propose', from: 1, to: 2, term: 0, entries: [] },
]

it('gives messages back in their order, once', () => {
  const inbox = new Inbox({ messages: 10, bulky: 10, entriesAtOnce: 10 })
  const messages = [light(1), append(2), light(3)]
  for (const message of messages) expect(inbox.push(message)).toBe(true)
  expect(inbox.take()).toEqual(messages)
  expect(inbox.take()).toEqual([])
})

it('gives no more than a message beyond so many entries at once, and nothing out of order', () => {
  const inbox = new Inbox({ messages: 10, bulky: 4, entriesAtOnce: 3 })
  const messages = [light(1), append(2), append(2), light(2), append(5), append(1)]
  for (const message of messages) inbox.push(message)
  expect(inbox.isEmpty).toBe(false)
  expect(inbox.take()).toEqual(messages.slice(0, 3))
  // Two of four bulky ones are gone.
  expect([append(1), append(1), append(1)].map((each) => inbox.push(each))).toEqual([true, true, false])
  expect(inbox.take()).toEqual(messages.slice(3, 5))
  expect(inbox.take()).toEqual([append(1), append(1), append(1)])
  expect(inbox.isEmpty).toBe(true)
})

it('drops what comes when it is full, and takes again once it is empty', () => {
  const inbox = new Inbox({ messages: 2, bulky: 2, entriesAtOnce: 10 })
  expect([light(1), light(2), light(3), light(4)].map((message) => inbox.push(message))).toEqual([true, true, false, false])
  expect(inbox.takeDropped()).toBe(2)
  expect(inbox.takeDropped()).toBe(0)
  expect(inbox.take()).toEqual([light(1), light(2)])
  expect(inbox.push(light(5))).toBe(true)
})

it.each(BULKY)('counts what carries data apart: $kind', (message) => {
  const inbox = new Inbox({ messages: 10, bulky: 2, entriesAtOnce: 10 })
  expect([message, message, message, light(1), append(0)].map((each) => inbox.push(each))).toEqual([true, true, false, true, true])
  inbox.take()
  expect(inbox.push(message)).toBe(true)
})
