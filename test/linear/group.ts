// What histories need of members under test: to be asked by clients, to be struck by faults. raft-lab.ts and agent-lab.ts are such groups.
import { present } from '../../src/base/assert.ts'
import { type Lab, type LabHost } from '../lab/lab.ts'
import { type RegisterInput, type RegisterOutput } from './register.ts'

export interface Group {
  /** Member N runs on the N-th host. Wires between them are cut; clients reach them all the same. */
  readonly lab: Pick<Lab, 'hosts' | 'split' | 'heal'>
  readonly use: Use
  /** Rejects where the member cannot be reached. An operation is given up after `patienceMs`. */
  connect(member: number, patienceMs: number): Promise<Connection>
  /** Resolves when somebody leads and serves. */
  ready(limitMs: number): Promise<void>
  /** As those say that answer within `limitMs`; nobody leads: undefined. */
  state(limitMs: number): Promise<{ readonly leader: number | undefined; readonly term: number }>
  /** After a SIGKILL; resolves when it serves clients. */
  start(member: number): Promise<void>
  /** SIGKILL: resolves when it is dead. SIGSTOP, SIGCONT: at once. */
  signal(member: number, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>
  /** Asks for another leader; nothing comes of it where `leader` does not lead or does not answer. */
  transfer(leader: number, to: number): Promise<void>
}

/** How a group is used. */
export interface Use {
  /** Without an answer for this long a client goes on to the next operation, and the outcome is unknown. Half of them wait less than any election takes. */
  readonly patienceMs: readonly [number, number]
  /** Whether it has compare-and-set. */
  readonly cas: boolean
}

export interface Connection {
  readonly isOpen: boolean
  ask(input: RegisterInput): Promise<Heard>
  close(): void
}

export type Heard =
  | { readonly kind: 'answered'; readonly output: RegisterOutput }
  /** Surely not done. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'unknown' }

export function membersOf({ lab }: Group): readonly number[] {
  return lab.hosts.map((_, at) => at + 1)
}

export function hostOf({ lab }: Group, member: number): LabHost {
  return present(lab.hosts[member - 1], `host of member ${member}`)
}

export function othersThan({ lab }: Group, member: number): readonly LabHost[] {
  return lab.hosts.filter((_, at) => at + 1 !== member)
}
