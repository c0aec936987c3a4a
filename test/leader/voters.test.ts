// Who votes and who leads: examples by number of hosts, zone and fate, and what holds for every mesh.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { margin, planVoters, type Seat, type Standing, survivesAnyZone, type VotersPlan } from '../../src/leader/voters.ts'
import { memberId } from '../fixture/inventory.ts'

/** `a` is member 1 and the oldest host, `b` member 2 … each a domain of its own. */
function seat(name: string, changes: Partial<Seat> = {}): Seat {
  const number = name.charCodeAt(0) - 96
  return {
    member: memberId(number),
    name,
    zone: `host ${name}`,
    role: 'host',
    votes: true,
    leads: false,
    standing: 'ready',
    because: 'went',
    joinedAt: number,
    ...changes,
  }
}

/** One letter a member: capitals vote, the first capital leads. */
function seats(text: string, changes: Readonly<Record<string, Partial<Seat>>> = {}): readonly Seat[] {
  const first = text.split('').find((letter) => letter === letter.toUpperCase())
  return text.split('').map((letter) => {
    const name = letter.toLowerCase()
    return seat(name, { votes: letter !== name, leads: letter === first, ...changes[name] })
  })
}

/** `stay`, `lead b`, or the change: `+bc -a !d` promotes b and c, demotes a, removes d. */
function plan(...given: Parameters<typeof seats>): string {
  return planText(planVoters(seats(...given)))
}

function planText(decided: VotersPlan): string {
  const letter = (member: number): string => String.fromCharCode(96 + member)
  if (decided.kind === 'stay') return 'stay'
  if (decided.kind === 'transfer') return `lead ${letter(decided.to)}`
  const { promote, demote, remove } = decided
  const parts = [
    ['+', promote],
    ['-', demote],
    ['!', remove],
  ] as const
  return parts.flatMap(([sign, members]) => (members.length === 0 ? [] : [`${sign}${members.map(letter).join('')}`])).join(' ')
}

const dead = { standing: 'dead' } as const
const gone = { standing: 'gone' } as const
const unready = { standing: 'unready' } as const
const leaving = { standing: 'leaving' } as const
const witness = { role: 'witness' } as const
const zones = (text: string): Readonly<Record<string, Partial<Seat>>> =>
  Object.fromEntries(text.split('').map((zone, at) => [String.fromCharCode(97 + at), { zone }]))

describe('the number of voters', () => {
  it.each([
    ['one host', 'A', 'stay'],
    ['two hosts have one voter: two would be worse than one', 'Ab', 'stay'],
    ['three grow to three in one change', 'Abc', '+bc'],
    ['four stay three', 'ABCd', 'stay'],
    ['five have five', 'ABCde', '+de'],
    ['five that are ready at once skip three', 'Abcde', '+bcde'],
    ['six stay five', 'ABCDEf', 'stay'],
    ['an even number is mended upwards where it can', 'ABcd', '+c'],
    ['and downwards where it cannot', 'AB', '-b'],
    ['four voters and nobody else', 'ABCD', '-d'],
  ])('%s', (_, given, expected) => {
    expect(plan(given)).toBe(expected)
  })

  it('grows only with what is ready', () => {
    expect(plan('Abc', { c: unready })).toBe('stay')
    expect(plan('Abc', { c: dead })).toBe('stay')
    expect(plan('Abcd', { c: unready })).toBe('+bd')
    expect(plan('ABCde', { e: unready })).toBe('stay')
  })

  it('takes the longest members, and of those that joined together the smaller member', () => {
    expect(plan('Abcd')).toBe('+bc')
    expect(plan('Abcd', { b: { joinedAt: 9 } })).toBe('+cd')
    expect(plan('Abcd', { b: { joinedAt: 4 }, c: { joinedAt: 4 } })).toBe('+bc')
  })
})

describe('a voter that is away', () => {
  it('keeps its vote until it is dead, then another takes its place in one change', () => {
    expect(plan('ABCd', { c: unready })).toBe('stay')
    expect(plan('ABCd', { c: dead })).toBe('+d -c')
    expect(plan('ABCDEf', { e: dead })).toBe('+f -e')
  })

  it('keeps it where nobody is ready to take it: fewer voters would survive no more', () => {
    expect(plan('ABC', { c: dead })).toBe('stay')
    expect(plan('ABCd', { c: dead, d: unready })).toBe('stay')
    expect(plan('ABCDE', { e: dead })).toBe('stay')
  })

  it('gives it up with a second one of five: the three that live survive more alone', () => {
    expect(plan('ABCDE', { d: dead, e: dead })).toBe('-de')
    expect(plan('ABCDEf', { d: dead, e: dead })).toBe('+f -e')
  })

  it('is removed for good when its host is none of the mesh any more, where three members are left, by a replacement', () => {
    expect(plan('ABCd', { c: gone })).toBe('+d !c')
    expect(plan('ABCd', { c: gone, d: unready })).toBe('stay')
    expect(plan('ABC', { c: gone })).toBe('-b !c')
    expect(plan('ABCDE', { d: gone, e: dead })).toBe('-e !d')
    expect(plan('ABCDEf', { d: dead, e: gone })).toBe('+f !e')
  })

  it('is not missed by a quorum that would not be ready either', () => {
    expect(plan('ABCd', { b: unready, c: dead, d: unready })).toBe('stay')
    expect(plan('AB', { a: unready, b: unready })).toBe('stay')
  })
})

describe('a host that is being removed', () => {
  it('hands its vote to another one', () => {
    expect(plan('ABCd', { c: leaving })).toBe('+d -c')
    expect(plan('ABCDE', { e: leaving })).toBe('-de')
  })

  it('of three takes the mesh back to one voter', () => {
    expect(plan('ABC', { c: leaving })).toBe('-bc')
    expect(plan('ABC', { c: leaving, b: unready })).toBe('-bc')
    expect(plan('BACd', { a: unready, d: leaving })).toBe('stay')
    expect(plan('ABCDE', { b: unready, e: leaving })).toBe('-be')
    expect(plan('ABCd', { c: leaving, d: dead })).toBe('-bc')
  })

  it('waits some seconds for the one that will take its place', () => {
    expect(plan('ABCd', { c: leaving, d: unready })).toBe('stay')
    expect(plan('ABCDEf', { e: leaving, f: unready })).toBe('stay')
    expect(plan('ABCDEfg', { e: leaving, f: unready })).toBe('+g -e')
  })

  it('hands leadership over first', () => {
    expect(plan('ABC', { a: leaving })).toBe('lead b')
    expect(plan('ABC', { a: leaving, b: unready })).toBe('lead c')
    expect(plan('ABCd', { a: leaving, b: witness })).toBe('lead c')
  })

  it('as the only voter leaves its vote to a learner, and steps down by that', () => {
    expect(plan('Ab', { a: leaving })).toBe('+b -a')
    expect(plan('Ab', { a: leaving, b: unready })).toBe('stay')
  })

  it('does not come back as a voter', () => {
    expect(plan('Abc', { c: leaving })).toBe('stay')
    expect(plan('Abcd', { c: leaving })).toBe('+bd')
  })
})

describe('zones', () => {
  it('come first: one voter each', () => {
    expect(plan('Abcd', zones('xxyz'))).toBe('+cd')
    expect(plan('ABCd', zones('xxyz'))).toBe('+d -b')
    expect(plan('ABCd', zones('xyzz'))).toBe('stay')
  })

  it('are even: two, two and one of five', () => {
    expect(plan('ABCdef', zones('xyzxyz'))).toBe('+de')
    expect(plan('ABCdef', zones('xyzzzy'))).toBe('+df')
  })

  it('keep five voters from standing where one zone would hold three of them', () => {
    expect(plan('ABCde', zones('xyzxx'))).toBe('stay')
    expect(plan('ABCDE', zones('xyzxx'))).toBe('-de')
  })

  it('do not count where no number of voters survives the loss of one', () => {
    expect(plan('Abc', zones('xxy'))).toBe('+bc')
    expect(plan('ABCde', zones('xxyyx'))).toBe('+de')
    expect(plan('ABCde', zones('xxxxx'))).toBe('+de')
  })

  it('make the leader hand over where it stands in the crowd and another zone waits', () => {
    expect(plan('ABCd', { ...zones('yyzx'), b: { zone: 'y', joinedAt: 0 } })).toBe('+d -b')
  })
})

describe('a witness', () => {
  it('makes a third of two hosts', () => {
    expect(plan('Abw', { w: witness })).toBe('+bw')
    expect(plan('Aw', { w: witness })).toBe('stay')
  })

  it('gives way to a third host, unless it stands in a zone of its own', () => {
    expect(plan('ABWc', { w: witness })).toBe('+c -w')
    expect(plan('ABWc', { ...zones('xyx'), c: { zone: 'x' }, w: { role: 'witness', zone: 'z' } })).toBe('stay')
  })

  it('leads only as long as no host can', () => {
    expect(plan('WAB', { w: witness })).toBe('lead a')
    expect(plan('WAB', { w: witness, a: unready })).toBe('lead b')
    expect(plan('WAB', { w: witness, a: unready, b: unready })).toBe('stay')
  })
})

describe('the reason', () => {
  const why = (...given: Parameters<typeof seats>): string => {
    const decided = planVoters(seats(...given))
    return decided.kind === 'stay' ? '' : decided.why
  }
  it.each([
    ['Abc', {}, '3 voters instead of 1 in 3 failure domains, of which 1 may be lost; b, c are up, stable and caught up'],
    ['AB', {}, '1 voters instead of 2 in 1 failure domain, of which none may be lost; b would make their number even'],
    [
      'ABCd',
      { c: { ...dead, because: 'was not heard of for 312 s' } },
      '3 voters in 3 failure domains, of which 1 may be lost; d is up, stable and caught up; c was not heard of for 312 s',
    ],
    [
      'ABCd',
      zones('xxyz'),
      '3 voters in 3 failure domains, of which 1 may be lost; d is up, stable and caught up; b shares zone x with another voter',
    ],
    [
      'ABWc',
      { w: witness },
      '3 voters in 3 failure domains, of which 1 may be lost; c is up, stable and caught up; w is a witness, and there are hosts enough',
    ],
    ['ABC', { a: leaving }, 'b leads instead: a is being removed'],
    ['WAB', { w: witness }, 'a leads instead: w is a witness'],
  ] as const)('%s: %j', (given, changes, expected) => {
    expect(why(given, changes)).toBe(expected)
  })
})

/** Any group: up to nine members, some of them in shared zones; the leader is a voter that answers. */
const anySeats = fc
  .record({
    members: fc.array(
      fc.record({
        votes: fc.boolean(),
        voter: fc.constantFrom<Standing>('ready', 'ready', 'ready', 'unready', 'dead', 'gone', 'leaving'),
        learner: fc.constantFrom<Standing>('ready', 'ready', 'unready', 'dead', 'leaving'),
        zone: fc.constantFrom('', '', 'x', 'y', 'z'),
        role: fc.constantFrom('host' as const, 'host' as const, 'host' as const, 'witness' as const),
      }),
      { minLength: 1, maxLength: 9 },
    ),
    leaderLeaves: fc.boolean(),
  })
  .map(({ members, leaderLeaves }) =>
    members.map(({ votes, voter, learner, zone, role }, at): Seat => {
      const name = String.fromCharCode(97 + at)
      const leads = at === 0
      const standing = leads ? (leaderLeaves ? 'leaving' : 'ready') : votes ? voter : learner
      return seat(name, { votes: votes || leads, leads, standing, role, ...(zone === '' ? {} : { zone }) })
    }),
  )

/** The group after what was decided; how each member does stays as it is. */
function after(before: readonly Seat[], decided: VotersPlan): readonly Seat[] {
  switch (decided.kind) {
    case 'stay':
      return before
    case 'transfer':
      return before.map((one) => ({ ...one, leads: one.member === decided.to }))
    case 'change': {
      const { promote, demote, remove } = decided
      const stay = before.filter(({ member }) => !remove.includes(member))
      const changed = stay.map((one): Seat => {
        if (promote.includes(one.member)) return { ...one, votes: true }
        // As a learner it is one that does not answer.
        const standing = one.standing === 'unready' ? 'dead' : one.standing
        return demote.includes(one.member) ? { ...one, votes: false, leads: false, standing } : one
      })
      // Where the leader gave up its vote, another one is elected.
      const heir = changed.find((one) => one.votes && one.standing === 'ready')
      return changed.some(({ leads }) => leads) ? changed : changed.map((one) => ({ ...one, leads: one === heir }))
    }
  }
}

const votersOf = (group: readonly Seat[]): readonly Seat[] => group.filter(({ votes }) => votes)

describe('for every group', () => {
  it('a change leaves an odd number of voters, of which a majority is ready; who comes in is ready, who leaves is told apart', () => {
    fc.assert(
      fc.property(anySeats, (group) => {
        const decided = planVoters(group)
        if (decided.kind !== 'change') return
        const of = (members: readonly number[]): readonly Seat[] => group.filter(({ member }) => members.includes(member))
        const voters = votersOf(after(group, decided))
        expect(voters.length % 2).toBe(1)
        expect(voters.length).toBeLessThanOrEqual(5)
        expect(voters.filter(({ standing }) => standing === 'ready').length).toBeGreaterThan(voters.length / 2)
        expect(of(decided.promote).every(({ votes, standing }) => !votes && standing === 'ready')).toBe(true)
        expect(of(decided.demote).every(({ votes, standing }) => votes && standing !== 'gone')).toBe(true)
        expect(of(decided.remove).every(({ votes, standing }) => votes && standing === 'gone')).toBe(true)
        expect(voters.every(({ standing }) => standing !== 'leaving')).toBe(true)
        expect(decided.promote.length + decided.demote.length + decided.remove.length).toBeGreaterThan(0)
      }),
      { numRuns: 2_000 },
    )
  })

  it('nobody takes over but a host that votes, is ready, and goes on voting', () => {
    fc.assert(
      fc.property(anySeats, (group) => {
        const decided = planVoters(group)
        if (decided.kind !== 'transfer') return
        const heir = group.find(({ member }) => member === decided.to)
        expect(heir).toMatchObject({ votes: true, role: 'host', standing: 'ready', leads: false })
        const next = planVoters(after(group, decided))
        expect(next.kind).not.toBe('transfer')
        if (next.kind === 'change') expect([...next.demote, ...next.remove]).not.toContain(decided.to)
      }),
      { numRuns: 2_000 },
    )
  })

  it('a change never makes the mesh survive less', () => {
    fc.assert(
      fc.property(anySeats, (group) => {
        const decided = planVoters(group)
        if (decided.kind !== 'change') return
        const [before, now] = [votersOf(group), votersOf(after(group, decided))]
        // No group of ours has more than five, whatever they would survive.
        if ((survivesAnyZone(now) && !survivesAnyZone(before)) || before.length > 5) return
        expect(margin(now)).toBeGreaterThanOrEqual(margin(before))
      }),
      { numRuns: 2_000 },
    )
  })

  it('no other odd number of voters would survive more: against all of them, one by one', () => {
    fc.assert(
      fc.property(anySeats, (group) => {
        // A leader that has to hand over or waits decides later.
        const decided = planVoters(group)
        if (decided.kind !== 'change') return
        const chosen = votersOf(after(group, decided))
        const hosts = group.filter(({ standing }) => standing !== 'gone' && standing !== 'leaving').length
        const worth = (voters: readonly Seat[]): number => Number(survivesAnyZone(voters)) * 100 + margin(voters)
        const possible = group.filter(({ votes, standing }) => standing !== 'leaving' && (votes || standing === 'ready'))
        const best = Math.max(...oddSubsets(possible, Math.min(hosts, 5)).map(worth))
        expect(worth(chosen)).toBe(best)
      }),
      { numRuns: 1_000 },
    )
  })

  it('comes to rest within four steps, and then stays so', () => {
    fc.assert(
      fc.property(anySeats, (group) => {
        let now: readonly Seat[] = group
        for (let step = 0; step < 4; step += 1) now = after(now, planVoters(now))
        expect(planVoters(now)).toEqual({ kind: 'stay' })
      }),
      { numRuns: 2_000 },
    )
  })

  it('is decided by who is there, not by the order of the list', () => {
    fc.assert(
      fc.property(anySeats, fc.nat(), (group, turn) => {
        const at = turn % group.length
        const turned = [...group.slice(at), ...group.slice(0, at)]
        expect(planVoters(turned)).toEqual(planVoters(group))
        expect(planVoters(turned.toReversed())).toEqual(planVoters(group))
      }),
      { numRuns: 1_000 },
    )
  })
})

function oddSubsets(of: readonly Seat[], maxSize: number): readonly (readonly Seat[])[] {
  const all = of.reduce<(readonly Seat[])[]>((sets, one) => [...sets, ...sets.map((set) => [...set, one])], [[]])
  return all.filter((set) => set.length % 2 === 1 && set.length <= maxSize)
}
