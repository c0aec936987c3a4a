// Which address is tried when, and that trying never ends.
import { beforeEach, describe, expect, it } from 'vitest'
import { type HostId } from '../../src/base/ids.ts'
import { seededRandom } from '../../src/base/random.ts'
import { abortable } from '../../src/base/deadline.ts'
import { Dialer } from '../../src/mesh/dialer.ts'
import { rememberedAddresses } from '../../src/mesh/known-addresses.ts'
import { TICK_MS } from '../../src/mesh/silence.ts'
import { manualClock, type ManualClock } from '../fixture/manual-clock.ts'

const PEER = 'peer' as HostId
const SMALLER_SELF = 'a' as HostId
const LARGER_SELF = 'z' as HostId

type Answer = 'linked' | 'refused' | 'silent'

interface Dial {
  readonly at: number
  readonly address: string
}

let clock: ManualClock
let dials: Dial[]
let answers: Map<string, Answer>
let known: ReturnType<typeof rememberedAddresses>
let linked: boolean
let dialer: Dialer

beforeEach(() => {
  clock = manualClock()
  dials = []
  answers = new Map()
  known = rememberedAddresses()
  linked = false
  dialer = make(SMALLER_SELF)
})

function make(self: HostId): Dialer {
  const made = new Dialer({
    self,
    clock,
    random: seededRandom(1),
    known,
    isBusy: () => linked,
    async connect(_host, address, signal) {
      dials.push({ at: clock.now(), address })
      const answer = answers.get(address) ?? 'refused'
      if (answer === 'refused') throw new Error('connection refused')
      if (answer === 'silent') await abortable(new Promise<never>(() => {}), signal)
      linked = true
    },
  })
  const tick = (): void => {
    made.tick()
    clock.after(TICK_MS, tick)
  }
  clock.after(TICK_MS, tick)
  return made
}

const member = (...addresses: readonly string[]) => [{ host: PEER, addresses }]
const addressesDialled = () => dials.map(({ address }) => address)

describe('a member without a link', () => {
  it('is dialled at once, and not again once it is linked', async () => {
    answers.set('x:1', 'linked')
    dialer.setMembers(member('x:1'))
    await clock.run(10_000)
    expect(dials).toEqual([{ at: TICK_MS, address: 'x:1' }])
    expect(known.of(PEER)).toBe('x:1')
  })

  it('is let go first when its id is the smaller one', async () => {
    const larger = make(LARGER_SELF)
    larger.setMembers(member('x:1'))
    await clock.run(140)
    expect(dials).toEqual([])
    await clock.run(60)
    expect(dials).toHaveLength(1)
  })

  it('is dialled for ever, after waits that grow from half a second to five and never more', async () => {
    dialer.setMembers(member('x:1'))
    await clock.run(3_600_000)
    const waits = dials.slice(1).map(({ at }, index) => at - (dials[index]?.at ?? 0))
    expect(waits[0]).toBeGreaterThanOrEqual(250)
    expect(waits[0]).toBeLessThanOrEqual(500 + TICK_MS)
    expect(Math.max(...waits)).toBeLessThanOrEqual(5000 + TICK_MS)
    expect(Math.min(...waits.slice(4))).toBeGreaterThanOrEqual(2500)
    expect(new Set(waits.slice(10)).size).toBeGreaterThan(10)
    expect(dials.length).toBeGreaterThan(700)
  })

  it('says why the last try failed', async () => {
    expect(dialer.cause(PEER)).toBeNull()
    dialer.setMembers(member('x:1', 'y:1'))
    await clock.run(1000)
    expect(dialer.cause(PEER)).toBe('x:1: connection refused; y:1: connection refused')
  })

  it('names an address once', async () => {
    answers.set('x:1', 'silent')
    dialer.setMembers(member('x:1'))
    await clock.run(3000)
    expect(dialer.cause(PEER)).toBe('dialling x:1 took longer than 1500 ms')
  })

  it('whose address nobody knows is not dialled, and says so', async () => {
    dialer.setMembers(member())
    await clock.run(1000)
    expect(dials).toEqual([])
    expect(dialer.cause(PEER)).toMatch(/no address/)
  })
})

describe('the order of addresses', () => {
  it('is: the last good one, what the peer said itself, what was agreed on, each once', () => {
    known.good(PEER, 'good:1')
    dialer.setMembers(member('agreed:1', 'said:1'))
    dialer.linked(PEER, ['said:1', 'said:2'], undefined)
    expect(dialer.addresses(PEER)).toEqual(['good:1', 'said:1', 'said:2', 'agreed:1'])
  })

  it('begins with what a change of the membership added, until the next link', () => {
    known.good(PEER, 'good:1')
    dialer.setMembers(member('agreed:1'))
    expect(dialer.addresses(PEER)).toEqual(['good:1', 'agreed:1'])
    dialer.setMembers(member('agreed:1', 'new:1'))
    expect(dialer.addresses(PEER)).toEqual(['new:1', 'good:1', 'agreed:1'])
    dialer.linked(PEER, [], undefined)
    expect(dialer.addresses(PEER)).toEqual(['good:1', 'agreed:1', 'new:1'])
  })

  it('learns from a peer that dialled us: the announced address with the IP that it came from', () => {
    dialer.setMembers(member('agreed:1'))
    dialer.linked(PEER, ['198.18.0.5:7400', '10.0.0.5:7400'], '10.0.0.5:41234')
    expect(known.of(PEER)).toBe('10.0.0.5:7400')
    dialer.linked(PEER, ['198.18.0.5:7400'], '172.16.0.1:5')
    expect(known.of(PEER)).toBe('10.0.0.5:7400')
  })

  it('gets to every address in the end, though each that is silent takes a second and a half', async () => {
    for (const address of ['s:1', 's:2', 's:3', 's:4']) answers.set(address, 'silent')
    answers.set('here:1', 'linked')
    dialer.setMembers(member('s:1', 's:2', 's:3', 's:4', 'here:1'))
    await clock.run(12_000)
    expect(linked).toBe(true)
    expect(addressesDialled()).toEqual(['s:1', 's:2', 's:3', 's:4', 'here:1'])
    expect(dials[1]?.at).toBe(1500 + (dials[0]?.at ?? 0))
  })
})

describe('a hint', () => {
  beforeEach(async () => {
    dialer.setMembers(member('x:1'))
    await clock.run(60_000)
    dials.length = 0
  })

  it.each([
    ['by name', () => dialer.hint(PEER)],
    ['for all', () => dialer.hintAll()],
    ['by a lost link', () => dialer.lost(PEER, 'gone')],
    ['by a new address', () => dialer.setMembers(member('y:1'))],
  ])('%s makes it dial at once, with short waits again', async (_name, hint) => {
    hint()
    await clock.run(1100)
    expect(dials.length).toBeGreaterThanOrEqual(2)
  })

  it('is not a membership that brings nothing new', async () => {
    await clock.run(TICK_MS)
    const dueAt = dials.length
    dialer.setMembers(member('x:1'))
    await clock.run(100)
    expect(dials.length).toBe(dueAt)
  })
})

describe('a try', () => {
  it('ends when the host is no member any more, or the dialer stops', async () => {
    answers.set('x:1', 'silent')
    dialer.setMembers(member('x:1'))
    await clock.run(100)
    dialer.setMembers([])
    await clock.run(60_000)
    expect(dials).toHaveLength(1)
    expect(dialer.addresses(PEER)).toEqual([])
    dialer.setMembers(member('x:1'))
    await clock.run(100)
    dialer.stop()
    await clock.run(60_000)
    expect(dials).toHaveLength(2)
  })

  it('stops at the next address when the peer linked itself meanwhile', async () => {
    answers.set('x:1', 'silent')
    dialer.setMembers(member('x:1', 'y:1'))
    await clock.run(100)
    linked = true
    await clock.run(60_000)
    expect(addressesDialled()).toEqual(['x:1'])
  })

  it('runs once at a time', async () => {
    answers.set('x:1', 'silent')
    dialer.setMembers(member('x:1'))
    await clock.run(1400)
    expect(dials).toHaveLength(1)
  })

  it('is given up for a new one when something changed', async () => {
    answers.set('x:1', 'silent')
    answers.set('y:1', 'linked')
    dialer.setMembers(member('x:1'))
    await clock.run(100)
    dialer.setMembers(member('x:1', 'y:1'))
    await clock.run(100)
    expect(addressesDialled()).toEqual(['x:1', 'y:1'])
    await clock.run(10_000)
    expect(dials).toHaveLength(2)
  })
})
