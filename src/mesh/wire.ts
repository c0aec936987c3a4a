// What the mesh needs below itself: connections between proven identities that carry many streams. libp2p-wire.ts is the real one.
import { type HostId } from '../base/ids.ts'

/** `link` beats, frames and membership; `rpc` requests; `mail` large frames; `bytes` consoles and the like; `join` the only one for strangers. */
export type StreamKind = 'link' | 'rpc' | 'mail' | 'bytes' | 'join'

export const STREAM_KINDS: readonly StreamKind[] = ['link', 'rpc', 'mail', 'bytes', 'join']

/** What the mesh is told. Called synchronously; must not throw. */
export interface WireEvents {
  /** Asked once an identity is proven, before anything else of it is heard; false cuts the connection. Only for incoming ones. */
  readonly admit: (host: HostId, address: string) => boolean
  readonly onConnection: (connection: WireConnection) => void
  /** `listen` has to be called before this returns, or what arrives is lost. */
  readonly onStream: (kind: StreamKind, stream: WireStream, connection: WireConnection) => void
  /** `from` is proven by its signature. */
  readonly onGossip: (topic: string, from: HostId, body: Uint8Array) => void
  readonly onAddresses: (addresses: readonly string[]) => void
}

export type StartWire = (events: WireEvents) => Promise<Wire>

export interface Wire {
  readonly self: HostId
  /** One address, one try. Rejects with the reason as people read it, or the signal's. */
  dial(host: HostId, address: string, signal: AbortSignal): Promise<WireConnection>
  /** Cuts every connection with this host. */
  hangUp(host: HostId, cause: string): void
  addresses(): readonly string[]
  readonly gossip: WireGossip
  stop(): Promise<void>
}

export interface WireGossip {
  /** Exchanges gossip with this peer over this connection from now on; an earlier one is left. */
  join(connection: WireConnection): void
  leave(host: HostId): void
  subscribe(topic: string): void
  publish(topic: string, body: Uint8Array): void
}

export interface WireConnection {
  readonly host: HostId
  readonly direction: 'in' | 'out'
  /** IP:PORT of the other end. */
  readonly address: string
  isOpen(): boolean
  /** Streams that are open now, of both sides. */
  streamCount(): number
  openStream(kind: StreamKind, signal: AbortSignal): Promise<WireStream>
  /** Lets what was sent arrive; returns at once. */
  close(): void
  abort(cause: string): void
  /** Once; at once when it is closed already. */
  onClose(listener: (cause: string) => void): void
}

/** Bytes in order, both ways. */
export interface WireStream {
  /** Attaches the one listener. */
  listen(listener: WireStreamListener): void
  /** False: full, hand over nothing more until `onDrain`. What is handed over all the same waits; on a closed stream it is lost. */
  send(bytes: Uint8Array): boolean
  pause(): void
  resume(): void
  /** Sends what waits, then ends both directions: the other end hears `onClose(null)`. */
  close(): void
  abort(cause: string): void
}

export interface WireStreamListener {
  onData(bytes: Uint8Array): void
  onDrain(): void
  /** Once, the last event; null: ended in order. */
  onClose(cause: string | null): void
}
