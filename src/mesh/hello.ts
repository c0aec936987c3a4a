// The first frame on every stream: who speaks, for which mesh, and whether these two may talk at all.
import { OperationError } from '../base/errors.ts'
import { type GenerationId, type HostId, type MeshId } from '../base/ids.ts'
import { fieldsOf, packBody, unpackBody } from './body.ts'

/** Raised when two versions could misread each other's frames. */
export const MESH_PROTOCOL = 1

/** Null: the first one, which init began. */
export interface Generation {
  readonly generation: number
  readonly generationId: GenerationId | null
}

export interface Hello extends Generation {
  readonly protocol: number
  readonly meshId: MeshId
  /** Of the process: two live ones under one host id are a copied disk. */
  readonly bootId: string
  /** Of the program, for people and for the leader. */
  readonly version: string
  /** Where the speaker listens now, IP:PORT: newer than what the membership says. */
  readonly addresses: readonly string[]
}

/** Closed list, in the wire form: codes are for ever. */
export type HelloRefusal =
  | 'protocol'
  | 'no-mesh'
  | 'wrong-mesh'
  | 'wrong-generation'
  | 'cloned-identity'
  | 'no-link'
  | 'removed'
  | 'unknown'

export interface Refusal {
  readonly code: HelloRefusal
  readonly message: string
  /** Of `wrong-generation`: the one that whoever refuses lives in. */
  readonly generation?: Generation | undefined
  /** Of `removed`: what the mesh says about it, see Membership. */
  readonly notice?: unknown
}

const MAX_ADDRESSES = 64

export function encodeHello(hello: Hello): Uint8Array {
  return packBody(hello)
}

/** Throws `usage` on anything that is no hello. */
export function parseHello(payload: Uint8Array): Hello {
  const fields = fieldsOf(unpackBody(payload))
  const { protocol, meshId, bootId, version, addresses } = fields
  const generation = parseGeneration(fields)
  if (
    typeof protocol !== 'number' ||
    typeof meshId !== 'string' ||
    generation === undefined ||
    typeof bootId !== 'string' ||
    typeof version !== 'string' ||
    !Array.isArray(addresses)
  ) {
    throw new OperationError('usage', `a hello of ${payload.length} bytes is malformed`)
  }
  const texts = addresses.filter((address) => typeof address === 'string').slice(0, MAX_ADDRESSES)
  return { protocol, meshId: brand<MeshId>(meshId), ...generation, bootId, version, addresses: texts }
}

/** Why these two may not talk; undefined when they may. Both sides judge, each by its own hello. */
export function judgeHello(mine: Hello, theirs: Hello, from: HostId): Refusal | undefined {
  if (theirs.protocol !== mine.protocol) {
    return {
      code: 'protocol',
      message: `${from} speaks mesh protocol ${theirs.protocol} (version ${theirs.version}), ${mine.protocol} is spoken here (${mine.version})`,
    }
  }
  if (theirs.meshId !== mine.meshId) {
    return { code: 'wrong-mesh', message: `${from} belongs to mesh ${theirs.meshId}, this is mesh ${mine.meshId}` }
  }
  if (!sameGeneration(theirs, mine)) {
    const { generation, generationId } = mine
    return { code: 'wrong-generation', message: wrongGeneration(mine, theirs, from), generation: { generation, generationId } }
  }
  return undefined
}

export function sameGeneration(a: Generation, b: Generation): boolean {
  return a.generation === b.generation && a.generationId === b.generationId
}

function wrongGeneration(mine: Hello, theirs: Hello, from: HostId): string {
  if (theirs.generation === mine.generation)
    return `${from} lives in another generation ${mine.generation} of the mesh: two hosts were recovered apart from each other`
  return `${from} lives in generation ${theirs.generation} of the mesh, this is generation ${mine.generation}`
}

export function encodeRefusal(refusal: Refusal): Uint8Array {
  return packBody(refusal)
}

/** What the other side gave as its reason; never throws. */
export function parseRefusal(payload: Uint8Array): Refusal {
  const { code, message, generation, notice } = fieldsOf(tolerantBody(payload))
  const known = REFUSALS.find((refusal) => refusal === code) ?? 'unknown'
  const text = typeof message === 'string' ? message : 'refused without a reason'
  return { code: known, message: text, generation: parseGeneration(fieldsOf(generation)), notice }
}

const REFUSALS: readonly HelloRefusal[] = [
  'protocol',
  'no-mesh',
  'wrong-mesh',
  'wrong-generation',
  'cloned-identity',
  'no-link',
  'removed',
  'unknown',
]

/** The generation that whoever refused lives in, as `refusedError` carries it. */
export function refusingGeneration(error: OperationError): Generation | undefined {
  return parseGeneration(fieldsOf(error.data['generation']))
}

function parseGeneration({ generation, generationId }: Readonly<Record<string, unknown>>): Generation | undefined {
  if (typeof generation !== 'number' || (generationId !== null && typeof generationId !== 'string')) return undefined
  return { generation, generationId: generationId === null ? null : brand<GenerationId>(generationId) }
}

function tolerantBody(payload: Uint8Array): unknown {
  try {
    return unpackBody(payload)
  } catch {
    return undefined
  }
}

function brand<T extends string>(text: string): T {
  return text as T
}
