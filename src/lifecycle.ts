// Which member of which mesh this host is: none, founder, joiner, or one that its data directory remembers. One change at a time.
import { type AgentPorts } from './agent-ports.ts'
import { type JoinRequest as JoinWish } from './api/context.ts'
import { within } from './base/deadline.ts'
import { OperationError, refusal } from './base/errors.ts'
import { newId, type MeshId } from './base/ids.ts'
import { foundMesh, newMemberId, type Member, type MemberIdentity } from './cluster/member.ts'
import { type Removal, removalText } from './cluster/removal.ts'
import { parseJoinReply, type Joiner } from './cluster/wire.ts'
import { type HostRole } from './inventory/model.ts'
import { type JoinToken, parseToken } from './mesh/token.ts'
import { memberPorts, type Session, startSession } from './session.ts'

/** A join is asked for within this time; the rest of its 5 s is for catching up. */
const JOIN_MS = 10_000

/**
 * A host that the mesh left behind may be let in again once its own generation had no leader for so long: twice what voters that start at the
 * same time need to find each other. With a leader it has a quorum, whose word a person alone may take back.
 */
export const LEADERLESS_MS = 10_000

/** A quorum that stands answers in milliseconds. */
const ASK_OWN_MS = 2_000

/** What is wrong with the stores of the member, which takes no part any more. */
export interface Damage {
  readonly why: string
  /** It knows no other host to come back through. */
  readonly alone: boolean
}

export class Lifecycle {
  readonly #ports: AgentPorts
  #session: Session | undefined
  /** As it is saved. */
  #identity: MemberIdentity | null = null
  #removal: Removal | null = null
  /** The change that is under way. */
  #change: PromiseWithResolvers<void> | undefined
  #stopped = false
  /** The newest that was told of a removal, and the work that it makes. */
  #told: Removal | undefined
  #leaving: Promise<void> | undefined

  constructor(ports: AgentPorts) {
    this.#ports = ports
  }

  get session(): Session | undefined {
    return this.#session
  }

  /** Also while it becomes another member of its mesh. */
  get identity(): MemberIdentity | null {
    return this.#identity
  }

  get damage(): Damage | null {
    const health = this.#session?.member.replica.health()
    if (this.#session === undefined || health?.kind !== 'damaged') return null
    const { introduced, member } = this.#session.member.identity
    return { why: health.why, alone: introduced.every((host) => host.member === member) }
  }

  /** How its last membership ended, where it has none since. */
  get removal(): Removal | null {
    return this.#removal
  }

  async resume(): Promise<void> {
    const { store } = this.#ports
    const identity = await store.load()
    if (identity !== null) await this.#start(identity)
    else this.#removal = await store.removal()
  }

  /** Makes a mesh of this one host. */
  init(name: string): Promise<void> {
    return this.#once(async () => {
      const ports = this.#ports
      const mesh = { id: newId<MeshId>((length) => ports.random.bytes(length)), name }
      const host = { id: ports.mesh.self, addresses: ports.mesh.ownAddresses(), ...joiner(ports, 'host') }
      const identity = await foundMesh(memberPorts(ports), mesh, host)
      await this.#start(identity)
    })
  }

  /** Becomes what `make` prepares the stores of and returns, as its sole voter. */
  found(make: () => Promise<MemberIdentity>): Promise<void> {
    return this.#once(async () => {
      await this.#ports.store.removeOthers(null)
      const identity = await make()
      await this.#save(identity)
      await this.#start(identity)
    })
  }

  /** Becomes a learner of the mesh that the token names; done when this host has applied its own admission. May be asked for again. */
  async join(wish: JoinWish, signal: AbortSignal): Promise<void> {
    const { mesh, store } = this.#ports
    const token = parseToken(wish.token)
    const member = this.#session?.member
    const own = member?.identity.mesh.id === token.meshId ? member : undefined
    // A join that was cut short after its admission goes on by itself, a finished one is what was asked for.
    if (own !== undefined && !(await this.#isLeftBehind(own, token, signal))) {
      wish.progress(`a member of mesh ${own.identity.mesh.name} already, catching up`)
      return caughtUp(own, mesh.self, signal)
    }
    const role = wish.role ?? token.role
    if (role !== token.role) throw wrongRole(token.role, role)
    const offer = joiner(this.#ports, role)
    const ask = async (): Promise<MemberIdentity> => {
      wish.progress('asking an inviter')
      const asked = { addresses: mesh.ownAddresses(), facts: offer }
      const reply = parseJoinReply(await mesh.join(token, asked, { deadlineMs: JOIN_MS, signal }))
      wish.progress(`admitted to mesh ${reply.mesh.name}, catching up`)
      return { mesh: reply.mesh, member: offer.member, introduced: reply.hosts }
    }
    if (own !== undefined) {
      const identity = await ask()
      const next = await this.become(async () => identity)
      await caughtUp(next.member, mesh.self, signal)
      return store.removeOthers(identity.member)
    }
    return this.#once(async () => {
      await store.removeOthers(null)
      const identity = await ask()
      // Saved first: from here on this host is a member, and an agent that dies now goes on as one.
      await this.#save(identity)
      await caughtUp((await this.#start(identity)).member, mesh.self, signal)
    })
  }

  /**
   * The host becomes another member: what runs for the present one stops, `change` prepares the stores of the other, and what it returns is
   * saved and started. Where that fails before the save, the host goes on as what it was. Guests notice nothing.
   */
  async become(change: (before: MemberIdentity) => Promise<MemberIdentity>): Promise<Session> {
    const { onFatal } = this.#ports
    const session = this.#session
    if (session === undefined) throw new OperationError('refused', 'this host belongs to no mesh')
    this.#begin()
    const before = session.member.identity
    let after = before
    try {
      this.#session = undefined
      await session.stop()
      const changed = await change(before)
      await this.#save(changed)
      after = changed
    } finally {
      // Whatever became of the change: a host that stays without a session is worse than an agent that is started anew.
      if (!this.#stopped) await this.#start(after).catch(onFatal)
      this.#end()
    }
    if (this.#session === undefined) throw new OperationError('unreachable', 'this agent stops')
    return this.#session
  }

  /** Changes what the data directory remembers of the member that this host is; nothing while that is about to change. */
  async remember(change: (identity: MemberIdentity) => MemberIdentity): Promise<void> {
    const identity = this.#identity
    if (identity === null || this.#change !== undefined) return
    const changed = change(identity)
    if (changed === identity) return
    this.#begin()
    try {
      await this.#save(changed)
    } finally {
      this.#end()
    }
  }

  /** What a change has begun comes to its end first: it starts nothing any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#leaving
    await this.#change?.promise
    await this.#session?.stop()
  }

  async #save(identity: MemberIdentity): Promise<void> {
    await this.#ports.store.save(identity)
    this.#identity = identity
  }

  async #start(identity: MemberIdentity): Promise<Session> {
    if (this.#stopped) throw new OperationError('unreachable', 'this agent stops')
    // Told within an event of the member that is to be stopped: the work begins in a turn of its own.
    const onRemoved = (removal: Removal): void => {
      this.#ports.clock.defer(() => {
        this.#told = removal
        this.#leaving ??= this.#leave().catch(this.#ports.onFatal)
      })
    }
    this.#identity = identity
    this.#session = await startSession(this.#ports, identity, onRemoved)
    this.#removal = null
    return this.#session
  }

  /** The mesh goes on without this host: what runs for the membership stops, its stores are put aside. Guests are not touched. */
  async #leave(): Promise<void> {
    // Told once, and again no sooner than at the next greeting: another change ends first, then it shows whether this is about what it left.
    while (this.#change !== undefined) await this.#change.promise
    const session = this.#session
    const removal = this.#told
    this.#leaving = undefined
    if (this.#stopped || removal === undefined || session?.member.identity.member !== removal.member) return
    const { log, mesh, store } = this.#ports
    log.warn({ removal }, `this host was ${removalText(removal)}: it takes no part any more`)
    this.#begin()
    try {
      this.#session = undefined
      this.#identity = null
      this.#removal = removal
      const data = { kind: 'removed', host: mesh.self }
      await session.stop(new OperationError('refused', `this host was ${removalText(removal)}`, { data }))
      mesh.setMembers(null)
      await store.retire(removal)
    } finally {
      this.#end()
    }
  }

  /**
   * The mesh went on without this host, maybe where its own hosts do not see it, as a mesh that was restored elsewhere: its own generation does
   * not know the token. Then a person says by that token that it goes over, with its data.
   */
  async #isLeftBehind(member: Member, { tokenId }: JoinToken, signal: AbortSignal): Promise<boolean> {
    if (member.machine.inventory().mesh === null) return false
    if (member.cluster.status().superseded !== null) return true
    try {
      const what = 'asking the own generation for the token'
      const limit = { clock: this.#ports.clock, ms: ASK_OWN_MS, what, signal }
      return !(await within(limit, (limited) => member.cluster.read(limited))).tokens.has(tokenId)
    } catch {
      signal.throwIfAborted()
      return (member.cluster.status().staleMs ?? 0) >= LEADERLESS_MS
    }
  }

  #begin(): void {
    if (this.#change !== undefined) throw changeUnderWay()
    this.#change = Promise.withResolvers()
  }

  #end(): void {
    this.#change?.resolve()
    this.#change = undefined
  }

  async #once(change: () => Promise<void>): Promise<void> {
    const name = this.#session?.member.identity.mesh.name
    if (name !== undefined) {
      const message = 'a host is in one mesh at a time, and a mesh is begun, joined and restored on a host of none'
      const fix = `use another host; to take this one out: hostmesh host remove ${this.#ports.hostName}`
      const reasons = [{ code: 'member-already', message, fix }]
      throw new OperationError('conflict', `this host belongs to mesh ${name} already`, { reasons })
    }
    this.#begin()
    try {
      await change()
    } finally {
      this.#end()
    }
  }
}

function changeUnderWay(): OperationError {
  const message = "another change of this host's membership is under way"
  const reasons = [
    { code: 'membership-changes', message: 'one is made at a time, and each takes seconds', fix: 'hostmesh status, then again' },
  ]
  return new OperationError('conflict', message, { reasons })
}

function wrongRole(role: HostRole, asked: HostRole): OperationError {
  const message = `the token is for a ${role}, asked for was a ${asked}`
  return refusal('the host was not let in', [{ code: 'token-role', message, fix: `hostmesh token create --role ${asked}` }])
}

export function joiner({ hostName, facts, bootId, random }: AgentPorts, role: HostRole): Joiner {
  return { name: hostName, role, facts, bootId, member: newMemberId(random) }
}

/** Resolves when this host has applied its own admission. */
export function caughtUp(member: Member, self: string, signal: AbortSignal): Promise<void> {
  const done = (): boolean => [...member.machine.inventory().hosts.keys()].some((id) => id === self)
  return new Promise((resolve, reject) => {
    if (done()) return resolve()
    const off = member.machine.changes.on(() => {
      if (!done()) return
      off()
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
    const onAbort = (): void => {
      off()
      reject(signal.reason)
    }
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}
