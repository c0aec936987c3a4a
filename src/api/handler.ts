// What stands behind a route: one function of the request's parsed parts. Reads answer, writes plan, streams go on.
import { type Reason } from '../base/errors.ts'
import { type RequestKey } from '../base/ids.ts'
import { type AdminCommand } from '../inventory/command.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type ApiContext } from './context.ts'
import {
  type Answer,
  type Body,
  type EndpointName,
  type Names,
  type Params,
  type Query,
  type ReadName,
  type WriteName,
} from './contract.ts'
import { type Fresh } from './freshness.ts'
import { type StreamItem } from './stream.ts'

/** The parts of a request, each parsed by its schema. */
export interface Request<N extends EndpointName> {
  readonly context: ApiContext
  readonly params: Params<N>
  readonly query: Query<N>
  readonly body: Body<N>
  /** Ends with the client's connection, and with the server. */
  readonly signal: AbortSignal
}

export type ReadRequest<N extends ReadName> = Request<N> & Fresh
export type WriteRequest<N extends WriteName> = Request<N> & { readonly inventory: Inventory; readonly key: RequestKey }

/** What a write is going to do. Nothing is proposed while `reasons` or the inventory's own rules say no. */
export interface Plan {
  /** Names the action in the refusal: `create VM web`. */
  readonly what: string
  readonly command: AdminCommand
  /** What is going to happen, for people, one step a line. */
  readonly steps: readonly string[]
  /** Checks that the inventory cannot make: files on datastores, room on hosts. */
  readonly reasons?: readonly Reason[]
  /** What only this host knows of the object that was made, `id`, and tells once. */
  readonly secretOf?: (id: string | null) => string
}

export type ReadHandler<N extends ReadName> = (request: ReadRequest<N>) => Answer<N> | Promise<Answer<N>>
export type WriteHandler<N extends WriteName> = (request: WriteRequest<N>) => Plan | Promise<Plan>
export type LocalHandler<N extends Names<'local'>> = (request: Request<N>) => Promise<Answer<N>>
export type StreamHandler<N extends Names<'stream'>> = (
  request: Request<N>,
) => AsyncGenerator<StreamItem<Answer<N>> | null, void, undefined>

export type ReadHandlers<N extends ReadName = ReadName> = { readonly [K in N]: ReadHandler<K> }
export type WriteHandlers<N extends WriteName = WriteName> = { readonly [K in N]: WriteHandler<K> }
export type LocalHandlers = { readonly [K in Names<'local'>]: LocalHandler<K> }
export type StreamHandlers = { readonly [K in Names<'stream'>]: StreamHandler<K> }

export interface Handlers {
  readonly read: ReadHandlers
  readonly write: WriteHandlers
  readonly local: LocalHandlers
  readonly stream: StreamHandlers
}
