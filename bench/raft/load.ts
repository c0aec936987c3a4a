// Clients in a process of their own: each has a connection and asks again as soon as it is answered. Argument: a Load as JSON; prints a LoadResult.
import { FRAME_HEADER_BYTES } from '../../src/mesh/frame.ts'
import { encodeKey, encodePackets, encodePut, OP, OUTCOME } from '../../test/fixture/kv-protocol.ts'
import { connected, connectEtcd, type Connection, etcdRequest, Turn } from './etcd-connection.ts'
import { addLatency, type Latencies, newLatencies } from './latencies.ts'

export interface Load {
  readonly system: 'ours' | 'etcd'
  readonly address: string
  readonly op: 'put' | 'get'
  readonly clients: number
  /** Not counted: connections are made, code is compiled. */
  readonly warmMs: number
  readonly measureMs: number
}

export interface LoadResult {
  /** With those of the warm-up. */
  readonly all: number
  readonly done: number
  readonly failed: number
  readonly latencies: Latencies
  /** Of this process, while it measured. */
  readonly cpuMs: number
}

/** Few enough that a second of writes has made them all. */
const KEYS = 1000
const VALUE_BYTES = 256
/** A bench that hangs says nothing. */
const PATIENCE_MS = 20_000

const load = JSON.parse(process.argv[2] ?? '') as Load
process.once('disconnect', () => process.exit())
setTimeout(() => process.exit(1), load.warmMs + load.measureMs + PATIENCE_MS).unref()
process.stdout.write(JSON.stringify(await run(load)))
process.exit()

async function run({ clients, warmMs, measureMs, ...how }: Load): Promise<LoadResult> {
  const latencies = newLatencies()
  const begin = performance.now() + warmMs
  const end = begin + measureMs
  let all = 0
  let done = 0
  let failed = 0
  const count = (ok: boolean, from: number, now: number): void => {
    all += 1
    if (now < begin || now > end) return
    if (!ok) failed += 1
    else {
      done += 1
      addLatency(latencies, now - from)
    }
  }
  let cpu = process.cpuUsage()
  setTimeout(() => (cpu = process.cpuUsage()), warmMs)
  await Promise.all(Array.from({ length: clients }, (_, client) => runClient(how, client, { end, count })))
  const { user, system } = process.cpuUsage(cpu)
  return { all, done, failed, latencies, cpuMs: (user + system) / 1000 }
}

interface Course {
  /** When to stop. */
  readonly end: number
  readonly count: (ok: boolean, from: number, now: number) => void
}

async function runClient(how: Omit<Load, 'clients' | 'warmMs' | 'measureMs'>, client: number, { end, count }: Course): Promise<void> {
  const { system, op, address } = how
  const request = system === 'ours' ? ourRequest : etcdRequest
  const value = Buffer.alloc(VALUE_BYTES, client)
  const valueBytes = op === 'get' ? VALUE_BYTES : 0
  const connection =
    system === 'etcd' ? await connectEtcd(address, op === 'put' ? 'Put' : 'Range', valueBytes) : await connectOurs(address, valueBytes)
  for (let key = client * 7919; ; key += 1) {
    const from = performance.now()
    const ok = await connection.ask(request(`bench/key-${key % KEYS}`, op === 'put' ? value : undefined))
    const now = performance.now()
    count(ok, from, now)
    if (now >= end) break
  }
  connection.close()
}

function ourRequest(key: string, value?: Uint8Array): Buffer {
  const [type, body] = value === undefined ? [OP.get, encodeKey(key)] : [OP.put, encodePut(key, value)]
  return Buffer.from(encodePackets([{ type, id: 1, body }]))
}

/** As connectEtcd. One request is under way, so a reply is whole when its length is there. */
async function connectOurs(address: string, valueBytes: number): Promise<Connection> {
  const socket = await connected(address)
  const turn = new Turn(socket)
  let received: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    if (received.length < FRAME_HEADER_BYTES || received.length < FRAME_HEADER_BYTES + received.readUInt32BE()) return
    const ok = received.readUInt8(4) === OUTCOME.ok && received.length - FRAME_HEADER_BYTES - 4 >= valueBytes
    received = Buffer.alloc(0)
    turn.answered(ok)
  })
  return { ask: (request) => turn.ask(request), close: () => socket.destroy() }
}
