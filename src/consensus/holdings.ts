// What this member knows others to hold for ever: so a member whose disk lost it is told, before it votes, whoever leads by then.
import { type ConfState, type NodeId } from './types.ts'

/** `node` has acknowledged every entry up to `index`, and they are committed: no correct member can be without them again. */
export interface Holding {
  readonly node: NodeId
  readonly index: number
}

/**
 * The leader learns holdings from acknowledgements and tells all members with its heartbeats; whoever asks for a vote or gives one says what
 * it knows of the other. Only what is committed counts: an entry that is not may be overwritten by a later leader, and then rightly be gone.
 * Kept in memory: each life learns them anew.
 */
export class Holdings {
  readonly #indexes = new Map<NodeId, number>()

  /** 0: nothing is known. */
  of(node: NodeId): number {
    return this.#indexes.get(node) ?? 0
  }

  /** Never goes back. */
  raise({ node, index }: Holding): void {
    if (index > this.of(node)) this.#indexes.set(node, index)
  }

  /** Of the voters only: a learner that lost entries harms nobody, and is told by the leader that knows its acknowledgements. */
  ofVoters({ voters, outgoing }: ConfState): Holding[] {
    return [...new Set([...voters, ...outgoing])].sort((a, b) => a - b).map((node) => ({ node, index: this.of(node) }))
  }

  /** Members that left are forgotten: ids are never used again. */
  keepOnly(isMember: (node: NodeId) => boolean): void {
    for (const node of this.#indexes.keys()) if (!isMember(node)) this.#indexes.delete(node)
  }
}
