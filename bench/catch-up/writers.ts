// What is written to the group: all that a member misses, and the small writes that go on while it catches up.
import { KvClient } from '../../test/fixture/kv-client.ts'
import { type RaftProcesses } from '../../test/fixture/raft-processes.ts'
import { pause } from '../../test/lab/wait-for.ts'

/** Many at a time fill fast, few leave the machine to what is measured. */
const FILLERS = 256
export const WRITERS = 16
const PATIENCE_MS = 30_000

export interface Fill {
  readonly keys: number
  readonly puts: number
  readonly valueBytes: number
}

/** Through whoever leads. How often a put was refused: on a busy machine leaders change. */
export async function fill(group: RaftProcesses, { keys, puts, valueBytes }: Fill): Promise<number> {
  let refused = 0
  for (let next = 0; next < puts;) {
    const client = await KvClient.connect((await group.leader()).clients, PATIENCE_MS)
    const again: number[] = []
    const put = async (at: number): Promise<void> => {
      const { kind } = await client.put(`key-${at % keys}`, Buffer.alloc(valueBytes, at))
      if (kind !== 'ok') again.push(at)
    }
    const fillers = Array.from({ length: FILLERS }, async () => {
      for (let at = next++; at < puts && again.length === 0; at = next++) await put(at)
    })
    await Promise.all(fillers)
    client.close()
    refused += again.length
    next = Math.min(next, ...again)
  }
  return refused
}

/** Clients that write small values, one after the other each. */
export class Writers {
  done = 0
  #stopped = false
  readonly #client: KvClient
  #running: Promise<unknown> = Promise.resolve()

  private constructor(client: KvClient) {
    this.#client = client
  }

  static async start(address: string): Promise<Writers> {
    const writers = new Writers(await KvClient.connect(address, PATIENCE_MS))
    writers.#running = Promise.all(Array.from({ length: WRITERS }, (_, writer) => writers.#write(writer)))
    return writers
  }

  async rate(ms: number): Promise<number> {
    const from = this.done
    await pause(ms)
    return ((this.done - from) / ms) * 1000
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
    this.#client.close()
  }

  async #write(writer: number): Promise<void> {
    const value = Buffer.alloc(64, writer)
    for (let at = 0; !this.#stopped; at += 1) {
      const { kind } = await this.#client.put(`written-${writer}-${at % 100}`, value)
      if (kind === 'ok') this.done += 1
    }
  }
}
