// Gossip travels over several hosts: who wrote it and what it says is checked where it arrives.
import { beforeEach, expect, it } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { type HostId } from '../../src/base/ids.ts'
import { silentLog } from '../../src/base/log.ts'
import { packBody, unpackBody } from '../../src/mesh/body.ts'
import { Gossip } from '../../src/mesh/gossip.ts'

const MEMBER = 'member' as HostId
const published: [string, unknown][] = []
const subscribed: string[] = []
let heard: unknown[]
let gossip: Gossip

beforeEach(() => {
  published.length = 0
  subscribed.length = 0
  heard = []
  const wire = {
    join() {},
    leave() {},
    subscribe: (topic: string) => void subscribed.push(topic),
    publish: (topic: string, body: Uint8Array) => void published.push([topic, unpackBody(body)]),
  }
  gossip = new Gossip({ log: silentLog, topics: ['load', 'hint'], wire, isMember: (host) => host === MEMBER })
  gossip.subscribe('load', (from, body) => heard.push([from, body]))
})

it('is subscribed to all topics from the start, and published as it was given', () => {
  gossip.publish('hint', { a: 1 })
  expect([subscribed, published]).toEqual([['load', 'hint'], [['hint', { a: 1 }]]])
})

it('comes to the listeners of its topic, until they leave', () => {
  const leave = gossip.subscribe('hint', (from, body) => heard.push([from, body]))
  gossip.received('load', MEMBER, packBody(1))
  gossip.received('hint', MEMBER, packBody(2))
  leave()
  gossip.received('hint', MEMBER, packBody(3))
  expect(heard).toEqual([
    [MEMBER, 1],
    [MEMBER, 2],
  ])
})

it('of who is no member, of another topic, or damaged, is dropped', () => {
  gossip.received('load', 'stranger' as HostId, packBody(1))
  gossip.received('weather', MEMBER, packBody(1))
  gossip.received('load', MEMBER, Uint8Array.of(0xa5, 0x61))
  expect(heard).toEqual([])
})

it('that a listener does not understand harms nobody else, but a bug of ours shows itself', () => {
  gossip.subscribe('load', (_from, body) => {
    if (body === 1) throw new Error('no load')
    if (body === 2) throw new BugError('broken')
  })
  gossip.received('load', MEMBER, packBody(1))
  expect(() => gossip.received('load', MEMBER, packBody(2))).toThrow(BugError)
})

it('of a topic that nobody named at the start is a bug', () => {
  expect(() => gossip.publish('weather', 1)).toThrow(BugError)
  expect(() => gossip.subscribe('weather', () => {})).toThrow(BugError)
})
