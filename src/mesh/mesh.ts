// What the rest of hostmesh sees of its peers: requests, frames, streams and hints between hosts. Bytes and peers, no VMs.
import { type GenerationId, type HostId, type MeshId } from '../base/ids.ts'
import { type PeerAddress } from './address.ts'
import { type JoinOffer, type JoinRequest } from './join-messages.ts'
import { type JoinToken } from './token.ts'

/** Who may talk to this host, as the mesh agreed on it. This host itself may stand among the members. */
export interface Membership {
  readonly meshId: MeshId
  /** Raised by recover and restore: a host that still lives in an older generation is refused. */
  readonly generation: number
  /** Absent: of the first generation, which init began. */
  readonly generationId?: GenerationId | null
  readonly members: readonly PeerAddress[]
  /** Hosts that were taken out: each is told so, with what belongs to it as plain data, before it is hung up on and whenever it knocks. */
  readonly former?: readonly { readonly host: HostId; readonly notice: unknown }[]
}

/** A member of this mesh says that this host was taken out of it. Whether that is about the present membership, the notice tells. */
export interface Dismissal {
  readonly from: HostId
  readonly notice: unknown
}

/** A member of this mesh said that it lives in another generation of it, or refused this host for that. Neither side talks to the other. */
export interface OtherGeneration {
  readonly host: HostId
  readonly generation: number
  readonly generationId: GenerationId | null
}

export interface PeerState {
  readonly host: HostId
  readonly link: 'up' | 'down'
  /** The remote end of the link; null while it is down. */
  readonly address: string | null
  /** Version of the program that runs there, from its last hello. */
  readonly version: string | null
  /** Milliseconds since it is up without a break; null while it is down. */
  readonly upMs: number | null
  /** Milliseconds since a byte came from it; null if none ever did. */
  readonly silentMs: number | null
  /** Why the link is down, or the last try to make it failed; null while it is up. */
  readonly cause: string | null
}

/** `down` comes at once when a connection closes, within 1.7 s when the peer falls silent. A peer that restarted goes down, then up. */
export type PeerEvent =
  | { readonly kind: 'up'; readonly host: HostId; readonly bootId: string }
  | { readonly kind: 'down'; readonly host: HostId; readonly cause: string }

/** What an administrator should read: goes into the event log of the mesh. The same alarm is raised once a minute at most. */
export type MeshAlarm =
  /** Two live processes under one key: a copied disk. Both are refused until one of them is gone. `host` may be this one: others refuse it. */
  | { readonly kind: 'cloned-identity'; readonly host: HostId; readonly bootIds: readonly string[] }
  /** Somebody knocked and was not let in. `address` is where it came from. */
  | { readonly kind: 'refused'; readonly host: HostId; readonly address: string; readonly reason: string }

export interface RequestOptions {
  readonly deadlineMs: number
  readonly signal?: AbortSignal
}

export interface RequestContext {
  readonly from: HostId
  /** Fires when the asker gave up, its deadline passed, or its link broke. */
  readonly signal: AbortSignal
}

export type RequestHandler = (body: unknown, context: RequestContext) => Promise<unknown>

/**
 * A duplex of bytes in order. Data that arrives before `onData` is called waits. `close` sends what was written, then ends both directions;
 * the other end hears `onClose(null)`, and a cause when the stream broke.
 */
export interface ByteStream {
  readonly host: HostId
  /** Resolves when there is room for more: await it, and a slow reader slows the writer. Rejects with `unreachable` once the stream is gone. */
  write(bytes: Uint8Array): Promise<void>
  onData(listener: (bytes: Uint8Array) => void): void
  pause(): void
  resume(): void
  close(): void
  abort(cause: string): void
  onClose(listener: (cause: string | null) => void): void
}

/** Takes a stream, or refuses it by a rejection, which reaches the opener as its OperationError. Its own writes leave once it resolved. */
export type StreamHandler = (stream: ByteStream, header: unknown) => Promise<void>

/**
 * Inviter's side of a join: gets each request whose sender proved to hold its own key; the signature of the token is for the leader to check.
 * The result is the joiner's reply, an OperationError its refusal.
 */
export type JoinHandler = (request: JoinRequest, signal: AbortSignal) => Promise<unknown>

/** Bodies, replies and headers are plain data: what msgpack holds without classes; Uint8Array arrives as Uint8Array. */
export interface Mesh {
  readonly self: HostId

  /**
   * At start and on every change; null: belongs to no mesh. A member taken out is hung up on at once, but a `former` one gets half a second to
   * hear it; a new one is dialled.
   */
  setMembers(membership: Membership | null): void
  peers(): readonly PeerState[]
  onPeer(listener: (event: PeerEvent) => void): () => void
  /** At every try of either side to connect. */
  onGeneration(listener: (other: OtherGeneration) => void): () => void
  onDismissed(listener: (dismissal: Dismissal) => void): () => void
  onAlarm(listener: (alarm: MeshAlarm) => void): () => void

  /**
   * Asks a linked host. Errors: the handler's OperationError; `timeout`; `unreachable`, where `data.sent` tells whether the request may have
   * been carried out (false: surely not). Never to oneself.
   */
  request(host: HostId, method: string, body: unknown, options: RequestOptions): Promise<unknown>
  /** One handler a method. Returns the way to take it back. */
  handle(method: string, handler: RequestHandler): () => void

  /**
   * Queues a frame (Raft's); false: dropped, because the link is down or full. Frames that one piece of work sends leave as one write. In order within a
   * priority while the link lives; `urgent` ones (up to 1 MiB) overtake and are not dropped before `bulk` ones. Large bulk frames take the
   * second connection.
   */
  send(host: HostId, frame: Uint8Array, priority: 'urgent' | 'bulk'): boolean
  onFrame(listener: (from: HostId, frame: Uint8Array) => void): () => void

  /** A byte stream of its own, on the second connection. Rejects with the handler's error, `unreachable` or `timeout`. */
  openStream(host: HostId, purpose: string, header: unknown, options: RequestOptions): Promise<ByteStream>
  /** One handler a purpose. Returns the way to take it back. */
  handleStream(purpose: string, handler: StreamHandler): () => void

  /** Telemetry and hints to all members: no order, no guarantee, one batched message every 1-2 s. Topics are fixed at start. */
  publish(topic: string, body: unknown): void
  subscribe(topic: string, listener: (from: HostId, body: unknown) => void): () => void

  /** Where this host listens for the mesh, as IP:PORT. */
  ownAddresses(): readonly string[]
  /** They changed (an interface came, or got another IP): to be published through Raft. */
  onAddresses(listener: (addresses: readonly string[]) => void): () => void

  /** After `handleJoin`. Strangers are let in, to the join protocol only, while it is open: that is, while an unexpired token exists. */
  setJoinOpen(open: boolean): void
  /** Returns the way to take it back, which closes the door as well. */
  handleJoin(handler: JoinHandler): () => void
  /**
   * Joiner's side: asks the token's inviters one after the other. Resolves with the leader's reply; call `setMembers` next. The same token
   * works again after any failure. Errors: `refused` with the reason; `unreachable` with what each inviter answered; `timeout`.
   */
  join(token: JoinToken, offer: JoinOffer, options: RequestOptions): Promise<unknown>

  /**
   * Asks a member that may live in another generation to be let in again as another Raft member: this host's key is its right to. Goes to the
   * handler of joins there, without a token. Resolves and rejects as `join`.
   */
  rejoin(meshId: MeshId, host: HostId, offer: JoinOffer, options: RequestOptions): Promise<unknown>

  stop(): Promise<void>
}
