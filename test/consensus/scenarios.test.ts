// Every reference scenario of etcd's Raft, compared state by state; the lists below say what is equal, and must stay true both ways.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { ScenarioHarness, type ScenarioStep } from './scenario-harness.ts'

const FOLDER = new URL('../../../shared/raft-scenarios/', import.meta.url)

type Verdict = 'every step' | 'end' | 'different'

/** Scenarios whose reference state we cannot reach, and why. */
const OPEN: Readonly<Record<string, string>> = {
  async_storage_writes: 'needs etcd’s asynchronous storage writes: more than one Ready in flight',
  async_storage_writes_append_aba_race: 'needs etcd’s asynchronous storage writes: more than one Ready in flight',
  forget_leader_read_only_lease_based: 'needs lease-based reads, which trust clocks: a leader is not forgotten there',
}

const EQUAL_AT_EVERY_STEP = [
  'campaign',
  'campaign_learner_must_vote',
  'checkquorum',
  'confchange_disable_validation',
  'confchange_v1_add_single',
  'confchange_v1_remove_leader',
  'confchange_v1_remove_leader_stepdown',
  'confchange_v2_add_double_auto',
  'confchange_v2_add_double_implicit',
  'confchange_v2_add_single_auto',
  'confchange_v2_add_single_explicit',
  'confchange_v2_replace_leader',
  'confchange_v2_replace_leader_stepdown',
  'forget_leader',
  'forget_leader_prevote_checkquorum',
  'heartbeat_resp_recovers_from_probing',
  'lagging_commit',
  'prevote',
  'prevote_checkquorum',
  'probe_and_replicate',
  'replicate_pause',
  'single_node',
  'slow_follower_after_compaction',
  'snapshot_succeed_via_app_resp',
  'snapshot_succeed_via_app_resp_behind',
]

/** With appends sent once per Ready: three proposals fill one message there, and the window that the scenario fills stays open. */
const EQUAL_AT_THE_END_WHEN_BATCHED = ['replicate_pause']

interface Replay {
  readonly verdict: Verdict
  /** Where it first differs. */
  readonly first: { readonly step: string; readonly got: unknown; readonly want: unknown } | undefined
}

const files = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => name.endsWith('.txt.json')) : []
const names = files.map((name) => name.replace('.txt.json', ''))

describe.skipIf(files.length === 0)('reference scenarios (skipped where ../shared/raft-scenarios is absent)', () => {
  const counts = new Map<string, number>()
  const count = (label: string): void => void counts.set(label, (counts.get(label) ?? 0) + 1)

  afterAll(() => {
    console.info(`raft scenarios: ${[...counts].map(([verdict, count]) => `${count} ${verdict}`).join(', ')}`)
  })

  test('every scenario of the folder is in exactly one list', () => {
    expect(names.toSorted()).toEqual([...EQUAL_AT_EVERY_STEP, ...Object.keys(OPEN)].toSorted())
  })

  test.each(names.filter((name) => !(name in OPEN)))('%s: states and messages under way are equal at every step', (name) => {
    const { verdict, first } = replay(name, { thrifty: false, compareInFlight: true })
    count('equal at every step')
    expect(first?.got, first?.step).toEqual(first?.want)
    expect(verdict).toBe('every step')
  })

  test.each(names.filter((name) => !(name in OPEN)))('%s: states are equal with appends batched as the product sends them', (name) => {
    const { verdict } = replay(name, { thrifty: true, compareInFlight: false })
    expect(verdict).toBe(EQUAL_AT_THE_END_WHEN_BATCHED.includes(name) ? 'end' : 'every step')
    count(`equal at ${verdict === 'end' ? 'the end only' : 'every step'} when batched`)
  })

  test.each(Object.keys(OPEN))('%s is still open', (name) => {
    const { verdict } = replay(name, { thrifty: false, compareInFlight: false })
    count('open')
    expect(verdict, `${name} is equal now: move it to the list`).toBe('different')
  })
})

function replay(name: string, options: { readonly thrifty: boolean; readonly compareInFlight: boolean }): Replay {
  const steps: ScenarioStep[] = JSON.parse(readFileSync(new URL(`${name}.txt.json`, FOLDER), 'utf8'))
  const harness = new ScenarioHarness(options)
  let first: Replay['first']
  let equal = true
  for (const [number, step] of steps.entries()) {
    if (!harness.knows(step)) return { verdict: 'different', first: { step: `${number} ${step.Cmd}`, got: 'unknown directive', want: '' } }
    harness.run(step)
    const want = { nodes: referenceNodes(step), inFlight: options.compareInFlight ? step.InFlight : {} }
    const got = { nodes: harness.nodes(), inFlight: options.compareInFlight ? harness.inFlight() : {} }
    equal = isDeepStrictEqual(got, want)
    if (!equal) first ??= { step: `step ${number}: ${step.Cmd} ${JSON.stringify(step.Args)}`, got, want }
  }
  return { verdict: first === undefined ? 'every step' : equal ? 'end' : 'different', first }
}

/** The reference writes log entries as objects. */
function referenceNodes(step: ScenarioStep): unknown[] {
  return (step.Nodes ?? []).map((node) => {
    const log = Array.isArray(node['Log']) ? node['Log'] : []
    return { ...node, Log: log.map((entry: unknown) => referenceEntry(entry)) }
  })
}

function referenceEntry(entry: unknown): unknown[] {
  const { I, T, K } = present(typeof entry === 'object' && entry !== null ? { I: 0, T: 0, K: 0, ...entry } : undefined, 'log entry')
  return [I, T, K]
}
