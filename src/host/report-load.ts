// What this host measures of itself goes to all others as a hint: one message every 2 s over gossip, never through Raft.
import * as v from 'valibot'
import { type Clock } from '../base/clock.ts'
import { errorText, toWireError } from '../base/errors.ts'
import { type DatastoreId, type HostId, type VmId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { startLoop } from '../base/loop.ts'
import { type Cluster } from '../inventory/cluster.ts'
import { type HostLoad, type Load, type StoresLoad, type VmLoad } from '../inventory/load.ts'
import { type Datastore } from '../inventory/model.ts'
import { sameEpoch } from '../inventory/view.ts'
import { type Mesh } from '../mesh/mesh.ts'
import { type Driver, type RunCounters } from '../vm/driver.ts'

export const LOAD_TOPIC = 'load'
const EVERY_MS = 2_000
/** Five messages missed: what was heard says nothing about now. */
const FORGET_MS = 10_000

/** CPU and memory of the whole machine since the last call. */
export interface HostMeter {
  measure(): Promise<{ readonly cpuPercent: number; readonly memoryUsedMiB: number }>
}

export interface ReportLoadOptions {
  readonly self: HostId
  readonly clock: Clock
  readonly log: Log
  readonly cluster: Cluster
  readonly mesh: Mesh
  readonly driver: Driver
  readonly meter: HostMeter
  readonly stores: () => StoresLoad
  /** Rejects with an OperationError that says why this host cannot use the datastore. */
  readonly checkDatastore: (datastore: Datastore) => Promise<void>
}

export interface LoadReporter {
  /** Of all hosts, as heard within the last 10 s; this host's own included. */
  load(): Load
  stop(): Promise<void>
}

const report = v.object({
  cpuPercent: v.number(),
  memoryUsedMiB: v.number(),
  faults: v.array(v.tuple([v.string(), v.string()])),
  stores: v.object({
    freeMiB: v.nullable(v.number()),
    trouble: v.nullable(v.object({ kind: v.picklist(['reopening', 'damaged']), why: v.string() })),
  }),
  vms: v.array(v.tuple([v.string(), v.object({ cpuMHz: v.number(), residentMiB: v.number(), uptimeS: v.number() })])),
})
type Report = v.InferOutput<typeof report>

export function startReportingLoad(options: ReportLoadOptions): LoadReporter {
  const { self, clock, log, mesh } = options
  const heard = new Map<HostId, { readonly atMs: number; readonly report: Report }>()
  const measure = measurer(options)
  const off = mesh.subscribe(LOAD_TOPIC, (from, body) => {
    const parsed = v.safeParse(report, body)
    if (parsed.success) heard.set(from, { atMs: clock.now(), report: parsed.output })
    else log.warn({ from }, 'load report that does not parse')
  })
  const loop = startLoop({
    clock,
    everyMs: EVERY_MS,
    onError: (error) => log.debug({ error: errorText(error) }, 'load could not be measured'),
    run: async () => {
      const own = await measure()
      heard.set(self, { atMs: clock.now(), report: own })
      mesh.publish(LOAD_TOPIC, own)
      for (const [host, { atMs }] of heard) if (clock.now() - atMs > FORGET_MS) heard.delete(host)
    },
  })
  return {
    load: () => combine(heard, clock.now()),
    async stop() {
      off()
      await loop.stop()
    },
  }
}

/** CPU shares come from the difference to the last measurement of the same run. */
function measurer(options: ReportLoadOptions): () => Promise<Report> {
  const { self, clock, cluster, driver, meter, stores } = options
  let last: { readonly atMs: number; readonly counters: readonly RunCounters[] } = { atMs: clock.now(), counters: [] }
  return async () => {
    const [machine, counters, faults] = await Promise.all([meter.measure(), driver.counters(), datastoreFaults(options)])
    const now = { atMs: clock.now(), counters }
    const seconds = Math.max(0.001, (now.atMs - last.atMs) / 1000)
    const mhz = cluster.view().hosts.get(self)?.facts.cpu.mhz ?? 0
    const vms = counters.map((run): Report['vms'][number] => {
      const before = last.counters.find((old) => old.vm === run.vm && sameEpoch(old.epoch, run.epoch))
      const cpuSeconds = run.cpuSeconds - (before?.cpuSeconds ?? run.cpuSeconds)
      return [run.vm, { cpuMHz: Math.round((cpuSeconds / seconds) * mhz), residentMiB: run.residentMiB, uptimeS: run.uptimeS }]
    })
    last = now
    return { ...machine, faults, stores: stores(), vms }
  }
}

async function datastoreFaults({ cluster, checkDatastore }: ReportLoadOptions): Promise<Report['faults']> {
  const faults: [string, string][] = []
  for (const datastore of cluster.view().datastores.values()) {
    try {
      await checkDatastore(datastore)
    } catch (error) {
      faults.push([datastore.id, toWireError(error).message])
    }
  }
  return faults
}

function combine(heard: ReadonlyMap<HostId, { readonly atMs: number; readonly report: Report }>, nowMs: number): Load {
  const hosts = new Map<HostId, HostLoad>()
  const vms = new Map<VmId, VmLoad>()
  for (const [host, { atMs, report: said }] of heard) {
    if (nowMs - atMs > FORGET_MS) continue
    // Ids come from an authenticated member and are only looked up, never believed.
    const datastoreFaults = new Map(said.faults.map(([id, why]) => [id as DatastoreId, why]))
    const { cpuPercent, memoryUsedMiB, stores } = said
    hosts.set(host, { receivedAtMs: atMs, cpuPercent, memoryUsedMiB, datastoreFaults, stores })
    for (const [vm, load] of said.vms) vms.set(vm as VmId, load)
  }
  return { hosts, vms }
}
