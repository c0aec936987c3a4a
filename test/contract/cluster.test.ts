// The cluster contract on the fake that host, leader and api are tested with, and on Raft itself.
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { inventoryMachine } from '../../src/cluster/inventory-machine.ts'
import { leaderDesk } from '../../src/cluster/leader-desk.ts'
import { members } from '../../src/cluster/members.ts'
import { raftCluster } from '../../src/cluster/raft-cluster.ts'
import { bootstrap } from '../../src/consensus/bootstrap.ts'
import { startReplica } from '../../src/consensus/replica.ts'
import { toRows } from '../../src/inventory/snapshot.ts'
import { fakeMesh } from '../fixture/fake-cluster.ts'
import { aMesh, hostId } from '../fixture/inventory.ts'
import { manualClock } from '../fixture/manual-clock.ts'
import { memoryLogDisk, openMemoryLog } from '../fixture/memory-log.ts'
import { memoryStateDisk, openMemoryState } from '../fixture/memory-state.ts'
import { clusterContract, type ClusterPlace } from './cluster.ts'

const SELF = hostId('h1')

clusterContract('in memory', async () => {
  const mesh = fakeMesh(aMesh().now)
  return {
    cluster: mesh.of(SELF),
    lead: async () => mesh.lead(SELF),
    settle: (promise) => promise,
    stop: async () => undefined,
  }
})

clusterContract('on Raft', async (): Promise<ClusterPlace> => {
  const clock = manualClock()
  const settle = <T>(promise: Promise<T>): Promise<T> => clock.settle(promise, 10_000)
  const logDisk = memoryLogDisk(async () => undefined)
  const stateDisk = memoryStateDisk(async () => undefined)
  await settle(bootstrap(openMemoryLog(logDisk), openMemoryState(stateDisk), { voters: [1], values: toRows(aMesh().now) }))
  const machine = inventoryMachine()
  const replica = await settle(
    startReplica({
      id: 1,
      clock,
      random: seededRandom(1),
      log: silentLog,
      logStore: openMemoryLog(logDisk),
      stateStore: openMemoryState(stateDisk),
      machine,
      transport: { send: () => undefined, openSnapshot: () => Promise.reject(new Error('there is no other host')) },
      tickMs: 50,
      onFatal: (error) => {
        throw error
      },
    }),
  )
  const known = members(() => machine.inventory(), new Map())
  const generations = { superseded: () => null }
  const desk = leaderDesk({ self: SELF, clock, replica, machine, members: known, generations, space: { freeMiB: () => 4096 } })
  const mesh = { request: () => Promise.reject(new Error('there is no other host')) }
  const cluster = raftCluster({ self: SELF, clock, log: silentLog, mesh, replica, machine, members: known, desk, generations })
  return {
    cluster,
    lead: () => clock.runUntil('h1 leads', () => cluster.status().leading, 5_000),
    settle,
    async stop() {
      cluster.stop()
      await settle(replica.stop())
    },
  }
})
