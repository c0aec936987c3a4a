// Serial consoles across the mesh: the host that runs a VM serves them, every other host passes them through.
import * as v from 'valibot'
import { OperationError } from '../base/errors.ts'
import { type HostId, type VmId } from '../base/ids.ts'
import { type Cluster } from '../inventory/cluster.ts'
import { type Vm } from '../inventory/model.ts'
import { type ByteStream, type Mesh } from '../mesh/mesh.ts'
import { type ConsoleStream, type Driver } from '../vm/driver.ts'

const LOG = 'console.log'
const OPEN = 'console'
const DEADLINE_MS = 5_000

const logRequest = v.object({ vm: v.string(), maxBytes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4 * 1024 * 1024)) })
const openRequest = v.object({ vm: v.string() })

export interface ConsolesOptions {
  readonly self: HostId
  readonly cluster: Cluster
  readonly driver: Driver
  readonly mesh: Mesh
}

/** Consoles as this host offers them to its API: wherever the VM runs. Both calls reject with `not-found`, `refused` or `unreachable`. */
export interface MeshConsoles {
  log(vm: VmId, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>
  open(vm: VmId, signal: AbortSignal): Promise<ConsoleStream>
  /** Serves no other host any more; consoles that are open stay. */
  stop(): void
}

export function serveConsoles({ self, cluster, driver, mesh }: ConsolesOptions): MeshConsoles {
  const ownRun = (vm: Vm): Promise<ConsoleStream> => {
    if (vm.owner?.host !== self) throw notRunning(vm)
    return driver.openConsole({ vm: vm.id, epoch: vm.owner.epoch })
  }
  const offLog = mesh.handle(LOG, async (body) => {
    const { vm, maxBytes } = v.parse(logRequest, body)
    return { bytes: await driver.consoleLog(find(cluster, vm).id, maxBytes) }
  })
  const offOpen = mesh.handleStream(OPEN, async (stream, header) => {
    const local = await ownRun(find(cluster, v.parse(openRequest, header).vm))
    local.onData((bytes) => {
      // A stream that is gone closes the local end through onClose.
      stream.write(bytes).catch(() => {})
    })
    local.onClose(() => stream.close())
    stream.onData((bytes) => local.write(bytes))
    stream.onClose(() => local.close())
  })
  return {
    stop() {
      offLog()
      offOpen()
    },
    async log(id, maxBytes, signal) {
      const vm = find(cluster, id)
      const host = vm.owner?.host ?? vm.lastHost
      if (host === null || host === self) return driver.consoleLog(vm.id, maxBytes)
      const reply = await mesh.request(host, LOG, { vm: vm.id, maxBytes }, { deadlineMs: DEADLINE_MS, signal })
      return v.parse(v.object({ bytes: v.instance(Uint8Array) }), reply).bytes
    },
    async open(id, signal) {
      const vm = find(cluster, id)
      if (vm.owner === null) throw notRunning(vm)
      if (vm.owner.host === self) return ownRun(vm)
      return overMesh(await mesh.openStream(vm.owner.host, OPEN, { vm: vm.id }, { deadlineMs: DEADLINE_MS, signal }))
    },
  }
}

function overMesh(stream: ByteStream): ConsoleStream {
  return {
    write(bytes) {
      // What a person types is small; a broken stream tells through onClose.
      stream.write(bytes).catch(() => {})
    },
    onData: (listener) => stream.onData(listener),
    onClose: (listener) => stream.onClose(() => listener()),
    close: () => stream.close(),
  }
}

function find(cluster: Cluster, id: string): Vm {
  for (const vm of cluster.view().vms.values()) if (vm.id === id) return vm
  throw new OperationError('not-found', `there is no VM ${id}`)
}

function notRunning(vm: Vm): OperationError {
  return new OperationError('refused', `VM ${vm.name} has no console now`, {
    reasons: [{ code: 'not-running', message: `VM ${vm.name} runs on no host`, fix: `hostmesh vm start ${vm.name}` }],
  })
}
