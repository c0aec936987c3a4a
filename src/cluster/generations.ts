// Whether the mesh went on without this host: other generations of it that its hosts say they live in. While one supersedes, nothing is changed here.
import { refusal, type OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Command } from '../inventory/command.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Superseded } from '../inventory/cluster.ts'
import { hostName } from '../inventory/view.ts'
import { type Generation } from '../mesh/hello.ts'
import { type Mesh, type OtherGeneration } from '../mesh/mesh.ts'

export interface Generations {
  /** Null: none that was heard of. */
  superseded(): Superseded | null
  /**
   * Where to ask to be let in again: a host of the latest generation. Null when none is later than this one, and when two began the latest
   * number apart from each other, for a person has to say which of them goes on.
   */
  successor(): OtherGeneration | null
  /** What a host said last of where it lives, if that was not here. */
  of(host: HostId): OtherGeneration | null
  stop(): void
}

export interface GenerationsOptions {
  readonly mesh: Pick<Mesh, 'onGeneration' | 'onPeer'>
  readonly mine: () => Generation
  /** As far as this host knows: where it lost its inventory, by who it was introduced to. */
  readonly isMember: (host: HostId) => boolean
}

/**
 * What was heard stays true until the host links up here, is removed, or this agent ends: a generation does not go away when its link does. A
 * later one supersedes, and so does one of the same number that was begun apart, on both of its sides.
 */
export function watchGenerations({ mesh, mine, isMember }: GenerationsOptions): Generations {
  const heard = new Map<HostId, OtherGeneration>()
  const offs = [
    mesh.onGeneration((other) => heard.set(other.host, other)),
    mesh.onPeer(({ kind, host }) => {
      if (kind === 'up') heard.delete(host)
    }),
  ]
  const superseding = (): readonly OtherGeneration[] => {
    const own = mine()
    return [...heard.values()]
      .filter(({ host }) => isMember(host))
      .filter((other) => other.generation > own.generation || (other.generation === own.generation && !sameId(other, own)))
      .sort((a, b) => b.generation - a.generation)
  }
  return {
    superseded() {
      const [first] = superseding()
      return first === undefined ? null : { host: first.host, generation: first.generation, apart: first.generation === mine().generation }
    },
    successor() {
      const all = superseding()
      const [first] = all
      if (first === undefined || first.generation === mine().generation) return null
      const rivals = all.filter(({ generation }) => generation === first.generation)
      return rivals.every((rival) => sameId(rival, first)) ? first : null
    },
    of: (host) => heard.get(host) ?? null,
    stop() {
      for (const off of offs) off()
    },
  }
}

/** What is left to do: to take the host that says so out of the mesh, or to take those in again that give up what was begun apart. */
export function isWayOut(kind: Command['kind'], { apart }: Superseded): boolean {
  return kind === 'host-remove' || (apart && kind === 'host-rejoin')
}

/** Why nothing is changed here: what this generation agreed on would be lost when its hosts go over to the other. */
export function supersededError({ host, generation, apart }: Superseded, inventory: Inventory): OperationError {
  const name = hostName(inventory, host)
  const own = inventory.mesh?.generation ?? 0
  const message = apart
    ? `the mesh went on twice in generation ${own}, here and at ${name}: nothing is changed on either side until one of them is given up`
    : `the mesh went on in generation ${generation}, as ${name} says, and this host is still in generation ${own}: nothing is changed here any more`
  return refusal('this host lives in a generation of the mesh that is over', [
    { code: 'superseded', message, fix: `hostmesh mesh recover --rejoin ${name}` },
  ])
}

function sameId(a: Generation, b: Generation): boolean {
  return a.generationId === b.generationId
}
