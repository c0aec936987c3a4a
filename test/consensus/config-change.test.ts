// Configurations and their changes: tables, and properties over any sequence of changes.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { changeConf, confProblem, isVoter, leavesJoint, members, NO_MEMBERS } from '../../src/consensus/config-change.ts'
import { voteResult } from '../../src/consensus/quorum.ts'
import { type ConfChange, type ConfChangeStep, type ConfState } from '../../src/consensus/types.ts'

type Transition = ConfChange['transition']

const LEAVE: ConfChange = { transition: 'auto', changes: [], context: new Uint8Array(0) }

/** `v1 l2 r3 u4`: add voter 1, add learner 2, remove 3, update 4. */
function change(steps: string, transition: Transition = 'auto'): ConfChange {
  const kinds: Readonly<Record<string, ConfChangeStep['kind']>> = { v: 'add-voter', l: 'add-learner', r: 'remove', u: 'update' }
  const changes = steps.split(' ').map((word) => ({ kind: kinds[word.charAt(0)] ?? 'update', node: Number(word.slice(1)) }))
  return { transition, changes, context: new Uint8Array(0) }
}

function after(conf: ConfState, ...steps: readonly ConfChange[]): ConfState {
  return steps.reduce((current, step) => {
    const changed = changeConf(current, step)
    if (changed.kind === 'invalid') throw new Error(changed.why)
    return changed.conf
  }, conf)
}

const three: ConfState = { ...NO_MEMBERS, voters: [1, 2, 3] }

describe('a simple change', () => {
  test.each([
    ['v4', { voters: [1, 2, 3, 4] }],
    ['l4', { voters: [1, 2, 3], learners: [4] }],
    ['r3', { voters: [1, 2] }],
    ['l3', { voters: [1, 2], learners: [3] }],
    ['u3', { voters: [1, 2, 3] }],
    ['r9', { voters: [1, 2, 3] }],
    ['v2', { voters: [1, 2, 3] }],
  ])('%s on voters 1 2 3', (steps, expected) => {
    expect(after(three, change(steps))).toEqual({ ...NO_MEMBERS, ...expected })
  })

  test('promotes a learner', () => {
    expect(after(three, change('l4'), change('v4'))).toEqual({ ...NO_MEMBERS, voters: [1, 2, 3, 4] })
  })

  test('keeps a learner that is added again as learner', () => {
    expect(after(three, change('l4'), change('l4'))).toEqual({ ...NO_MEMBERS, voters: [1, 2, 3], learners: [4] })
  })

  test('leaves no group without a voter', () => {
    const one = { ...NO_MEMBERS, voters: [1], learners: [2] }
    expect(changeConf(one, change('r1'))).toEqual({ kind: 'invalid', why: 'no voter would be left' })
  })
})

describe('joint consensus', () => {
  test('several changes enter it, and the old voters stay as outgoing half', () => {
    expect(after(three, change('r3 v4'))).toEqual({ ...NO_MEMBERS, voters: [1, 2, 4], outgoing: [1, 2, 3], autoLeave: true })
  })

  test('is left for the incoming half alone', () => {
    expect(after(three, change('r3 v4'), LEAVE)).toEqual({ ...NO_MEMBERS, voters: [1, 2, 4] })
  })

  test('one change enters it when asked to, and is left by itself unless explicit', () => {
    expect(after(three, change('v4', 'implicit'))).toMatchObject({ outgoing: [1, 2, 3], autoLeave: true })
    expect(after(three, change('v4', 'explicit'))).toMatchObject({ outgoing: [1, 2, 3], autoLeave: false })
  })

  test('a demoted voter votes on until it is left, then it is a learner', () => {
    const joint = after(three, change('l3 v4'))
    expect(joint).toMatchObject({ voters: [1, 2, 4], outgoing: [1, 2, 3], learners: [], learnersNext: [3] })
    expect(isVoter(joint, 3)).toBe(true)
    expect(after(joint, LEAVE)).toEqual({ ...NO_MEMBERS, voters: [1, 2, 4], learners: [3] })
  })

  test.each([
    ['a simple change within it', after(three, change('r3 v4')), change('v5'), 'a simple change within a joint configuration'],
    ['entering it twice', after(three, change('r3 v4')), change('v5 v6'), 'the configuration is joint already'],
    ['leaving it outside of it', three, LEAVE, 'the configuration is not joint'],
    ['entering it without voters', NO_MEMBERS, change('v1 v2'), 'a configuration without voters cannot become joint'],
  ])('refuses %s', (_, conf, step, why) => {
    expect(changeConf(conf, step)).toEqual({ kind: 'invalid', why })
  })

  test('an empty change leaves it whatever its context says', () => {
    expect(leavesJoint({ transition: 'auto', changes: [] })).toBe(true)
    expect(leavesJoint({ transition: 'explicit', changes: [] })).toBe(false)
    expect(leavesJoint(change('u1'))).toBe(false)
  })
})

describe('confProblem', () => {
  test.each([
    [{ voters: [1], learners: [1] }, '1 is a learner and a voter'],
    [{ voters: [1], outgoing: [2], learners: [2] }, '2 is a learner and a voter'],
    [{ voters: [1], outgoing: [1], learnersNext: [2] }, '2 is to become a learner but is no outgoing voter'],
    [{ voters: [1, 2], outgoing: [1, 2], learnersNext: [2] }, '2 is to become a learner and stays a voter'],
    [{ voters: [1], autoLeave: true }, 'it is to be left by itself but is not joint'],
    [{ learners: [1] }, 'it has members but no voters'],
  ])('%j: %s', (part, problem) => {
    expect(confProblem({ ...NO_MEMBERS, ...part })).toBe(problem)
  })
})

const step = fc.record({
  kind: fc.constantFrom<ConfChangeStep['kind'][]>('add-voter', 'add-learner', 'remove', 'update'),
  node: fc.integer({ min: 1, max: 7 }),
})
const anyChange: fc.Arbitrary<ConfChange> = fc.record({
  transition: fc.constantFrom<Transition[]>('auto', 'implicit', 'explicit'),
  changes: fc.array(step, { maxLength: 4 }),
  context: fc.constant(new Uint8Array(0)),
})

describe('any sequence of changes', () => {
  /** Every configuration on the way, the refused changes left out. */
  const walk = (changes: readonly ConfChange[]): ConfState[] => {
    const confs: ConfState[] = [three]
    for (const next of changes) {
      const changed = changeConf(confs.at(-1) ?? three, next)
      if (changed.kind === 'changed') confs.push(changed.conf)
    }
    return confs
  }

  test('keeps every configuration sound, sorted and without doubles', () => {
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 12 }), (changes) => {
        for (const conf of walk(changes)) {
          expect(confProblem(conf)).toBeUndefined()
          expect(conf.voters.length).toBeGreaterThan(0)
          for (const list of [conf.voters, conf.outgoing, conf.learners, conf.learnersNext]) {
            expect(list).toEqual([...new Set(list)].toSorted((a, b) => a - b))
          }
        }
      }),
    )
  })

  test('lets no two neighbouring configurations decide apart from each other', () => {
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 8 }), fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }), (changes, sides) => {
        const confs = walk(changes)
        // Everyone takes one of two sides; if one side decides for a configuration, the other must not for the next one.
        const votes = (side: boolean) => new Map(sides.map((mine, number) => [number + 1, mine === side]))
        for (const [number, conf] of confs.entries()) {
          const next = confs[number + 1] ?? conf
          expect([voteResult(conf, votes(true)), voteResult(next, votes(false))]).not.toEqual(['won', 'won'])
        }
      }),
    )
  })

  test('ends where the same changes to plain sets of voters and learners end', () => {
    fc.assert(
      fc.property(fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 8 }), (rounds) => {
        let conf = three
        let roles = new Map<number, string>(three.voters.map((id) => [id, 'voter']))
        for (const changes of rounds) {
          const entered = changeConf(conf, { transition: 'implicit', changes, context: new Uint8Array(0) })
          if (entered.kind === 'invalid') continue
          conf = after(entered.conf, LEAVE)
          roles = new Map(roles)
          for (const { kind, node } of changes) {
            if (kind === 'add-voter') roles.set(node, 'voter')
            if (kind === 'add-learner') roles.set(node, 'learner')
            if (kind === 'remove') roles.delete(node)
          }
        }
        expect(members(conf).map((id) => [id, conf.voters.includes(id) ? 'voter' : 'learner'])).toEqual(
          [...roles].toSorted(([a], [b]) => a - b),
        )
      }),
    )
  })
})
