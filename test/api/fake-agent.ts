// An agent for tests of the API and the command line: the real server and routes over the fake mesh, on a unix socket of its own.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { emitter, type Emitter } from '../../src/base/emitter.ts'
import { OperationError } from '../../src/base/errors.ts'
import { newId, type VmId } from '../../src/base/ids.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { apiClient, type ApiClient } from '../../src/api/client.ts'
import { type ApiContext, type ConsoleLine } from '../../src/api/context.ts'
import { type ApiServer, startApi } from '../../src/api/server.ts'
import { NO_LOAD } from '../../src/inventory/load.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { fakeLifecycle } from '../fixture/fake-lifecycle.ts'
import { fakeMesh, type FakeMesh } from '../fixture/fake-cluster.ts'
import { aMesh, hostId, START_AT } from '../fixture/inventory.ts'

export interface FakeAgent {
  readonly mesh: FakeMesh
  readonly context: ApiContext
  readonly client: ApiClient
  readonly directory: string
  readonly socketPath: string
  /** Set where the agent was started with TCP. */
  readonly port: number
  readonly consoles: FakeConsoles
  stop(): Promise<void>
  /** Stops and comes back on the same socket; the mesh goes on meanwhile. */
  restart(): Promise<void>
}

export interface FakeAgentWishes {
  readonly inventory?: Inventory
  /** Starts the TCP listener too. */
  readonly tcp?: boolean
  readonly changes?: Partial<ApiContext>
  /** Files that datastores hold; all others are missing. */
  readonly files?: readonly string[]
}

/** Stops with the test that asked for it. h1 leads, all hosts are up. */
export async function fakeAgent(wishes: FakeAgentWishes = {}): Promise<FakeAgent> {
  const directory = await mkdtemp(join(tmpdir(), 'hostmesh-api-'))
  const inventory = wishes.inventory ?? aMesh({ hosts: 3, datastores: ['images'] }).now
  const self = hostId('h1')
  const mesh = fakeMesh(inventory, { leader: self })
  const consoles = new FakeConsoles()
  const context = { ...contextOf(mesh, consoles, wishes), ...wishes.changes }
  const socketPath = join(directory, 'hostmesh.sock')
  const tcp = wishes.tcp === true ? { host: '127.0.0.1', port: 0, dataDir: directory } : null
  const start = (): Promise<ApiServer> => startApi(context, { socketPath, socketMode: 0o600, tcp })
  let server = await start()
  onTestFinished(async () => {
    await server.stop()
    await rm(directory, { recursive: true, force: true })
  })
  const client = apiClient({ kind: 'socket', path: socketPath }, realClock)
  return {
    mesh,
    context,
    client,
    directory,
    socketPath,
    port: server.port ?? 0,
    consoles,
    stop: () => server.stop(),
    async restart() {
      await server.stop()
      server = await start()
    },
  }
}

function contextOf(mesh: FakeMesh, consoles: FakeConsoles, { files = [] }: FakeAgentWishes): ApiContext {
  const self = hostId('h1')
  const random = seededRandom(1)
  let tokens = 0
  return {
    self: { id: self, name: () => 'h1' },
    cluster: mesh.of(self),
    clock: { ...realClock, wall: () => START_AT + 3_600_000 },
    random,
    log: silentLog,
    version: '0.1.0',
    liveness: () => new Map([...mesh.inventory().hosts.keys()].filter((id) => id !== self).map((id) => [id, 'up'])),
    load: () => NO_LOAD,
    lifecycle: fakeLifecycle({
      init: () => Promise.reject(new OperationError('conflict', 'this host belongs to mesh lab already')),
      join: () => Promise.reject(new OperationError('conflict', 'this host belongs to mesh lab already')),
    }),
    recovery: {
      plan: () => Promise.reject(new OperationError('refused', 'this agent plans no recovery')),
      confirm: () => Promise.reject(new OperationError('refused', 'this agent is not recovered')),
      restore: () => Promise.reject(new OperationError('conflict', 'this host belongs to mesh lab already')),
      rejoin: () => Promise.reject(new OperationError('refused', 'this agent stays where it is')),
    },
    createToken() {
      tokens += 1
      return { id: newId((length) => random.bytes(length)), publicKey: `public-${tokens}`, text: `hm1.secret-${tokens}` }
    },
    console: consoles,
    raft: () => ({ firstIndex: 1, lastIndex: mesh.inventory().index, peers: [] }),
    checkFile: (path) => Promise.resolve(files.includes(path)),
  }
}

/** Consoles whose guest is the test. */
export class FakeConsoles {
  readonly #open = new Map<VmId, Emitter<Uint8Array>>()
  readonly #closed: Emitter<VmId> = emitter()
  /** What clients typed, as text. */
  typed = ''
  /** Characters that guests wrote. */
  said = 0
  text = 'boot\r\nlogin: '

  log(_vm: VmId, maxBytes: number): Promise<Uint8Array> {
    return Promise.resolve(Buffer.from(this.text).subarray(-maxBytes))
  }

  open(vm: VmId): Promise<ConsoleLine> {
    const output: Emitter<Uint8Array> = this.#open.get(vm) ?? emitter()
    this.#open.set(vm, output)
    return Promise.resolve({
      write: (bytes) => {
        this.typed += Buffer.from(bytes).toString()
      },
      onData: (listener) => void output.on(listener),
      onClose: (listener) =>
        void this.#closed.on((id) => {
          if (id === vm) listener()
        }),
      close: () => this.#open.delete(vm),
    })
  }

  isOpen(vm: VmId): boolean {
    return this.#open.has(vm)
  }

  say(vm: VmId, text: string): void {
    this.said += text.length
    this.#open.get(vm)?.emit(Buffer.from(text))
  }

  end(vm: VmId): void {
    this.#closed.emit(vm)
  }
}
