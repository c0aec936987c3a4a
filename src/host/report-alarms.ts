// What the mesh's gate turned away goes into the event log that all hosts share: an administrator need not know where somebody knocked.
import { type Clock } from '../base/clock.ts'
import { deadline } from '../base/deadline.ts'
import { errorText } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { startLoop } from '../base/loop.ts'
import { type Log } from '../base/log.ts'
import { type Cluster } from '../inventory/cluster.ts'
import { type HostCommand } from '../inventory/command.ts'
import { type Mesh, type MeshAlarm } from '../mesh/mesh.ts'

/** Alarms that wait for a leader; the gate raises 64 different ones a minute at most, so this is a minute without one. */
const WAITING = 64
const TRY_MS = 5_000
const RETRY_MS = 5_000

export interface ReportAlarmsOptions {
  readonly self: HostId
  readonly actor: string
  readonly clock: Clock
  readonly log: Log
  readonly cluster: Cluster
  readonly mesh: Mesh
}

/** One after the other; what cannot be told now waits, what finds no room is in this host's own log only. */
export function startReportingAlarms({ self, actor, clock, log, cluster, mesh }: ReportAlarmsOptions): { stop(): Promise<void> } {
  const waiting: HostCommand[] = []
  const loop = startLoop({
    clock,
    everyMs: RETRY_MS,
    onError: (error) => log.debug({ error: errorText(error) }, 'an alarm cannot be told to the mesh yet'),
    run: async (stopping) => {
      for (let [next] = waiting; next !== undefined; [next] = waiting) {
        const limit = deadline(clock, TRY_MS, 'telling the mesh of an alarm', stopping)
        try {
          await cluster.propose(next, { signal: limit.signal, actor })
        } finally {
          limit.done()
        }
        waiting.shift()
      }
    },
  })
  const off = mesh.onAlarm((alarm) => {
    log.warn({ alarm }, 'refused by the gate of the mesh')
    if (waiting.length < WAITING) waiting.push(asCommand(self, alarm))
    loop.wake()
  })
  return {
    async stop() {
      off()
      await loop.stop()
    },
  }
}

function asCommand(host: HostId, alarm: MeshAlarm): HostCommand {
  switch (alarm.kind) {
    case 'cloned-identity':
      return {
        kind: 'host-alarm',
        host,
        alarm: 'identity-cloned',
        subject: `host ${alarm.host}`,
        why: `processes ${alarm.bootIds.join(' and ')} live under one key: a copied disk`,
      }
    case 'refused':
      return {
        kind: 'host-alarm',
        host,
        alarm: 'peer-refused',
        subject: `peer ${alarm.host}`,
        why: `from ${alarm.address}: ${alarm.reason}`,
      }
  }
}
