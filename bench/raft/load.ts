// Clients in a process of their own: each asks again as soon as it is answered. Argument: a Load as JSON; prints a LoadResult.
import { present } from '../../src/base/assert.ts'
import { FRAME_HEADER_BYTES } from '../../src/mesh/frame.ts'
import { encodeKey, encodePackets, encodePut, OP, OUTCOME, PacketReader } from '../../test/fixture/kv-protocol.ts'
import { connected, connectEtcd, type Connection, etcdRequest, Line } from './etcd-connection.ts'
import { addLatency, type Latencies, newLatencies } from './latencies.ts'

export interface Load {
  readonly system: 'ours' | 'etcd'
  readonly address: string
  readonly op: 'put' | 'get'
  readonly clients: number
  /** They share so many. */
  readonly connections: number
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
const VALUE = Buffer.alloc(VALUE_BYTES, 7)
/** A bench that hangs says nothing. */
const PATIENCE_MS = 20_000

const load = JSON.parse(process.argv[2] ?? '') as Load
process.once('disconnect', () => process.exit())
setTimeout(() => process.exit(1), load.warmMs + load.measureMs + PATIENCE_MS).unref()
process.stdout.write(JSON.stringify(await run(load)))
process.exit()

async function run({ system, address, op, clients, connections, warmMs, measureMs }: Load): Promise<LoadResult> {
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
  const valueBytes = op === 'get' ? VALUE_BYTES : 0
  const open = (): Promise<Connection> =>
    system === 'etcd' ? connectEtcd(address, op === 'put' ? 'Put' : 'Range', valueBytes) : connectOurs(address, valueBytes)
  const lines = await Promise.all(Array.from({ length: connections }, open))
  const request = system === 'etcd' ? etcdRequest : ourRequest
  const ask = (client: number, key: string): Promise<boolean> => {
    const value = op === 'put' ? VALUE : undefined
    return present(lines[client % connections], 'connection').ask(request(key, value))
  }
  await Promise.all(Array.from({ length: clients }, (_, client) => runClient(client, end, ask, count)))
  for (const line of lines) line.close()
  const { user, system: kernel } = process.cpuUsage(cpu)
  return { all, done, failed, latencies, cpuMs: (user + kernel) / 1000 }
}

/** One question after the other, until `end`. */
async function runClient(
  client: number,
  end: number,
  ask: (client: number, key: string) => Promise<boolean>,
  count: (ok: boolean, from: number, now: number) => void,
): Promise<void> {
  // Far apart, so that all keys are there after a second of writes.
  for (let key = client * 7919; ; key += 1) {
    const from = performance.now()
    const ok = await ask(client, `bench/key-${key % KEYS}`)
    const now = performance.now()
    count(ok, from, now)
    if (now >= end) return
  }
}

function ourRequest(key: string, value?: Uint8Array): Buffer {
  const [type, body] = value === undefined ? [OP.get, encodeKey(key)] : [OP.put, encodePut(key, value)]
  return Buffer.from(encodePackets([{ type, id: 0, body }]))
}

/** As connectEtcd. */
async function connectOurs(address: string, valueBytes: number): Promise<Connection> {
  const socket = await connected(address)
  const line = new Line(socket)
  const reader = new PacketReader()
  let nextId = 1
  socket.on('data', (chunk: Buffer) => {
    for (const { type, id, body } of reader.read(chunk)) line.answered(id, type === OUTCOME.ok && body.length >= valueBytes)
  })
  return {
    ask(request) {
      const id = nextId
      nextId = (id + 1) >>> 0
      request.writeUInt32BE(id, FRAME_HEADER_BYTES)
      line.write(request)
      return line.answerTo(id)
    },
    close: () => socket.destroy(),
  }
}
