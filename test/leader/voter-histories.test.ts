// Whatever happens to the hosts of a mesh, its controller never takes the majority from those that live, and comes to rest.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type HostId, type MemberId } from '../../src/base/ids.ts'
import { type ClusterStatus } from '../../src/inventory/cluster.ts'
import { type Host } from '../../src/inventory/model.ts'
import { type Contact } from '../../src/leader/controllers.ts'
import { seatsOf, STABLE_MS, ZONE } from '../../src/leader/seats.ts'
import { planVoters } from '../../src/leader/voters.ts'
import { aMesh, type TestLog } from '../fixture/inventory.ts'

const HOSTS = 8
/** The controller looks so often, and at most so long a removal is pursued (cluster/leaving.ts). */
const LOOK_MS = 1_000
const GIVEN_UP_MS = 15_000
const REPLACE_MS = 300_000
/** After this without an event nothing may move any more: the last one is dead, and its successor stable. */
const REST_MS = REPLACE_MS + 3 * STABLE_MS

type Incident =
  | { readonly kind: 'dies' | 'returns' | 'joins' | 'is removed'; readonly host: number }
  | { readonly kind: 'is labelled'; readonly host: number; readonly zone: string | null }

interface Moment {
  readonly incident: Incident
  readonly thenMs: number
}

const anyHost = fc.nat({ max: HOSTS - 1 })
const anyIncident: fc.Arbitrary<Incident> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('dies', 'returns', 'joins'), host: anyHost }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('is removed'), host: anyHost }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('is labelled'), host: anyHost, zone: fc.constantFrom('x', 'y', null) }) },
)
const anyHistory = fc.array(
  fc.record({ incident: anyIncident, thenMs: fc.constantFrom(0, 1_000, 4_000, 11_000, 16_000, 60_000, 310_000) }),
  { minLength: 1, maxLength: 25 },
)
const someWitness = fc.option(
  anyHost.filter((host) => host > 0),
  { nil: undefined },
)

it('never takes the majority from those that live, lets in only who was up for 10 s, and comes to rest after every event', () => {
  fc.assert(
    fc.property(anyHistory, someWitness, (history, witness) => {
      const mesh = new ModelMesh(witness)
      // So many that there often is one to take the place of a dead voter.
      for (let host = 1; host < HOSTS; host += 1) mesh.live({ incident: { kind: 'joins', host }, thenMs: 0 })
      for (const moment of history) mesh.live(moment)
      mesh.live({ incident: { kind: 'returns', host: 0 }, thenMs: REST_MS })
      const rested = mesh.turns
      mesh.wait(REST_MS)
      expect(mesh.faults).toEqual([])
      expect(mesh.turns).toBe(rested)
      // A hand-over and a change for each event: what it brings at once and what it brings later are mostly the same.
      expect(mesh.turns).toBeLessThanOrEqual(2 * (history.length + HOSTS))
      expect(mesh.missed).toEqual([])
    }),
    { numRuns: 100 },
  )
})

it('has one, three or five voters once every host is up again, and then lets one after the other go', () => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      const mesh = new ModelMesh(undefined)
      for (const moment of history) mesh.live(moment.incident.kind === 'is labelled' ? { ...moment, incident: quiet } : moment)
      for (let host = 0; host < HOSTS; host += 1) mesh.live({ incident: { kind: 'returns', host }, thenMs: 0 })
      mesh.wait(REST_MS)
      expect(mesh.voters).toBe(votersFor(mesh.size))
      for (let host = 0; mesh.size > 1; host += 1) {
        const { size } = mesh
        const belongs = mesh.has(host)
        mesh.live({ incident: { kind: 'is removed', host }, thenMs: GIVEN_UP_MS })
        expect([mesh.size, mesh.voters]).toEqual(belongs ? [size - 1, votersFor(size - 1)] : [size, votersFor(size)])
      }
      expect(mesh.faults).toEqual([])
    }),
    { numRuns: 100 },
  )
})

function votersFor(hosts: number): number {
  return hosts >= 5 ? 5 : hosts >= 3 ? 3 : 1
}

const quiet = { kind: 'returns', host: 0 } as const

interface Life {
  readonly host: Host
  /** Since when it is as it is. */
  since: number
  alive: boolean
}

/** Eight hosts, of which the first founded the mesh; who votes and leads is as Raft would have it, at once. */
class ModelMesh {
  readonly #log: TestLog
  readonly #members = new Map<HostId, Life>()
  readonly #votes = new Set<MemberId>()
  readonly #leaving = new Map<HostId, number>()
  #leader: HostId | undefined
  #nowMs = 1_000_000
  /** Decisions so far that were carried out. */
  turns = 0
  /** Decisions that must not be. */
  readonly faults: string[] = []

  constructor(witness: number | undefined) {
    this.#log = aMesh({ hosts: HOSTS, roles: witness === undefined ? {} : { [`h${witness + 1}`]: 'witness' } })
    this.#join(0)
    for (const { host } of this.#members.values()) this.#votes.add(host.member)
  }

  get voters(): number {
    return this.#votes.size
  }

  get size(): number {
    return this.#members.size
  }

  /** Dead voters whose place a living host could have, where somebody leads. */
  get missed(): readonly string[] {
    if (this.#leads() === undefined) return []
    const lives = [...this.#members.values()]
    const votes = ({ host }: Life): boolean => this.#votes.has(host.member)
    if (!lives.some((life) => life.alive && !votes(life))) return []
    return lives.filter((life) => !life.alive && votes(life)).map(({ host }) => host.name)
  }

  has(number: number): boolean {
    return [...this.#members.values()].some(({ host }) => host.name === `h${number + 1}`)
  }

  live({ incident, thenMs }: Moment): void {
    this.#happen(incident)
    this.wait(thenMs)
  }

  wait(ms: number): void {
    for (const end = this.#nowMs + ms; this.#nowMs < end;) {
      this.#nowMs += LOOK_MS
      this.#look()
    }
  }

  #happen(incident: Incident): void {
    const host = this.#log.now.hosts.get([...this.#log.now.hosts.keys()][incident.host] ?? ('' as HostId))
    if (host === undefined) return
    const life = this.#members.get(host.id)
    switch (incident.kind) {
      case 'joins':
        // A join needs a leader, as everything does.
        if (life === undefined && this.#leads() !== undefined) this.#join(incident.host)
        return
      case 'dies':
      case 'returns': {
        const alive = incident.kind === 'returns'
        if (life !== undefined && life.alive !== alive) Object.assign(life, { alive, since: this.#nowMs })
        return
      }
      case 'is removed':
        if (life !== undefined) this.#leaving.set(host.id, this.#nowMs + GIVEN_UP_MS)
        return
      case 'is labelled':
        this.#log.do({ kind: 'host-set', host: host.id, labels: { [ZONE]: incident.zone } })
    }
  }

  #join(number: number): void {
    const host = [...this.#log.now.hosts.values()][number]
    if (host !== undefined) this.#members.set(host.id, { host, since: this.#nowMs, alive: true })
  }

  /** One turn of the controller, where there is a leader; then whoever has no vote any more is removed. */
  #look(): void {
    const leader = this.#leads()
    if (leader === undefined) return
    const plan = planVoters(this.#seats(leader.host.id))
    if (plan.kind === 'transfer') this.#leader = this.#ofMember(plan.to)?.host.id
    if (plan.kind === 'change') this.#change(plan.promote, [...plan.demote, ...plan.remove])
    if (plan.kind !== 'stay') this.turns += 1
    for (const [id, until] of this.#leaving) {
      const life = this.#members.get(id)
      const done = life !== undefined && !this.#votes.has(life.host.member) && this.#members.size > 1
      if (done) this.#members.delete(id)
      if (done || life === undefined || until <= this.#nowMs) this.#leaving.delete(id)
    }
  }

  #change(promote: readonly MemberId[], drop: readonly MemberId[]): void {
    for (const member of promote) {
      const life = this.#ofMember(member)
      if (life?.alive !== true || this.#nowMs - life.since < STABLE_MS) this.faults.push(`member ${member} was let in too soon`)
      this.#votes.add(member)
    }
    for (const member of drop) this.#votes.delete(member)
    const size = this.#votes.size
    if (!this.#hasQuorum()) this.faults.push(`of ${size} voters no majority lives`)
    if (size % 2 === 0) this.faults.push(`${size} voters are an even number`)
  }

  /** Who leads, or would be elected now: nobody without a majority of the voters. */
  #leads(): Life | undefined {
    if (!this.#hasQuorum()) return undefined
    const voters = [...this.#members.values()].filter(({ host, alive }) => alive && this.#votes.has(host.member))
    const leader = voters.find(({ host }) => host.id === this.#leader) ?? voters[0]
    this.#leader = leader?.host.id
    return leader
  }

  #hasQuorum(): boolean {
    return [...this.#votes].filter((member) => this.#ofMember(member)?.alive === true).length > this.#votes.size / 2
  }

  #ofMember(member: MemberId): Life | undefined {
    return [...this.#members.values()].find(({ host }) => host.member === member)
  }

  #seats(self: HostId): ReturnType<typeof seatsOf> {
    const lives = [...this.#members.values()]
    const hosts = new Map([...this.#log.now.hosts].filter(([id]) => this.#members.has(id)))
    const members: ClusterStatus['members'] = lives.map(({ host, alive }) => ({
      host: host.id,
      member: host.member,
      role: !this.#votes.has(host.member) ? 'learner' : host.id === self ? 'leader' : 'voter',
      leaving: this.#leaving.has(host.id),
      matchIndex: 1,
      active: alive,
    }))
    const contact = ({ alive, since }: Life): Contact => {
      const ms = this.#nowMs - since
      return alive ? { upMs: ms, silentMs: 0 } : { upMs: null, silentMs: ms }
    }
    return seatsOf({
      inventory: { ...this.#log.now, hosts },
      self,
      status: { members, strangers: [], commitIndex: 1 },
      contacts: new Map(lives.filter(({ host }) => host.id !== self).map((life) => [life.host.id, contact(life)])),
      inactiveSince: new Map(lives.filter(({ alive }) => !alive).map(({ host, since }) => [host.member, since])),
      nowMs: this.#nowMs,
    })
  }
}
