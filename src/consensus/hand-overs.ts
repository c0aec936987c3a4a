// Who waits for a hand-over of leadership, and what each is told: done, given up, or who leads instead.
import { abortable } from '../base/deadline.ts'
import { OperationError } from '../base/errors.ts'
import { isVoter } from './config-change.ts'
import { stopped } from './proposals.ts'
import { type RaftStatus, type Raft } from './raft.ts'
import { NOBODY, type NodeId } from './types.ts'

interface Waiter extends PromiseWithResolvers<void> {
  readonly target: NodeId
}

/** The transfer itself is the core's (transfer.ts); here its outcome is read off the member's status, turn by turn. */
export class HandOvers {
  readonly #wake: () => void
  /** Came since the last turn. */
  #asked: Waiter[] = []
  readonly #waiting = new Set<Waiter>()

  constructor(wake: () => void) {
    this.#wake = wake
  }

  /** Ends with the signal; whether the hand-over goes on is for the core to decide. */
  ask(target: NodeId, signal: AbortSignal): Promise<void> {
    const waiter: Waiter = { target, ...Promise.withResolvers<void>() }
    this.#asked.push(waiter)
    this.#wake()
    return abortable(waiter.promise, signal).finally(() => this.#waiting.delete(waiter))
  }

  /** Gives what came since the last turn to the core. */
  handOver(raft: Raft): void {
    const asked = this.#asked
    this.#asked = []
    for (const waiter of asked) {
      const refused = refusal(raft.status(), waiter.target)
      if (refused !== undefined) waiter.reject(refused)
      else {
        raft.transferLeadership(waiter.target)
        this.#waiting.add(waiter)
      }
    }
  }

  /** After each turn. */
  settle(raft: Raft): void {
    if (this.#waiting.size === 0) return
    const { role, leader, transferTarget } = raft.status()
    for (const waiter of this.#waiting) {
      const underWay = role === 'leader' ? transferTarget === waiter.target : leader === NOBODY
      if (underWay) continue
      this.#waiting.delete(waiter)
      if (leader === waiter.target) waiter.resolve()
      else waiter.reject(givenUp(waiter.target, leader, role === 'leader'))
    }
  }

  close(cause: unknown): void {
    for (const { reject } of [...this.#asked, ...this.#waiting]) reject(stopped(cause))
    this.#asked = []
    this.#waiting.clear()
  }
}

function refusal({ id, role, leader, conf }: RaftStatus, target: NodeId): OperationError | undefined {
  if (role !== 'leader') {
    return new OperationError('unreachable', 'this member does not lead, so it has no leadership to hand over', {
      data: { kind: 'not-leader', leader },
    })
  }
  if (target === id) return new OperationError('conflict', `member ${id} leads already`, { data: { kind: 'leads-already', leader } })
  if (isVoter(conf, target)) return undefined
  return new OperationError('conflict', `member ${target} does not vote, so it cannot lead`, { data: { kind: 'no-voter', leader } })
}

function givenUp(target: NodeId, leader: NodeId, still: boolean): OperationError {
  const message = still
    ? `member ${target} did not take over within an election time-out; member ${leader} goes on leading`
    : `member ${leader} won the election in place of member ${target}`
  return new OperationError('timeout', message, { data: { kind: 'not-done', leader } })
}
