// Idempotency: a person's command that comes again under its key gets the recorded answer, and is not carried out twice.
import { type RequestKey } from '../base/ids.ts'
import { canonicalJson } from './canonical-json.ts'
import { type Command } from './command.ts'
import { type Draft } from './draft.ts'
import { type CommandResult, type RequestRecord } from './model.ts'
import { refused } from './results.ts'

/** How long a client may ask again; far beyond any client's own patience. */
export const REQUEST_KEPT_MS = 600_000
/** Against a flood of keys: 10,000 answers are a few megabytes. */
export const REQUESTS_KEPT = 10_000

/** The answer that `key` got before, a refusal if it came with another wish then, or null where it is new (or long forgotten). */
export function recordedAnswer(draft: Draft, key: RequestKey): CommandResult | null {
  const known = draft.state.requests.get(key)
  if (known === undefined || draft.at - known.at >= REQUEST_KEPT_MS) return null
  if (known.fingerprint === fingerprint(draft.record.command)) return known.result
  const message = `request key ${key} was used for another command at index ${known.index}`
  return refused(message, [{ code: 'request-key-reused', message, fix: 'use a new key for every new request' }], 'conflict')
}

/**
 * Keeps `result`, and drops what is too old or too much. Oldest first in the order of the log: the wall clocks of successive leaders may
 * differ, so "too old" stops at the first that is not.
 */
export function recordAnswer(draft: Draft, key: RequestKey, result: CommandResult): void {
  const added: RequestRecord = { key, at: draft.at, index: draft.entry.index, fingerprint: fingerprint(draft.record.command), result }
  const requests = new Map(draft.state.requests)
  // A forgotten key that comes again moves to the end: the table stays in the order of the log.
  requests.delete(key)
  const dropped: RequestRecord[] = []
  for (const old of requests.values()) {
    if (draft.at - old.at < REQUEST_KEPT_MS && requests.size < REQUESTS_KEPT) break
    requests.delete(old.key)
    dropped.push(old)
  }
  draft.setRequests(requests.set(key, added), added, dropped)
}

/**
 * What the person asked for, without what the host that took the request added (ids, job ids, who does file work, times): the same wish
 * through another host has the same fingerprint. Two hashes of 32 bits (FNV-1a and a mix of it): against mistakes of clients, not malice.
 */
export function fingerprint(command: Command): string {
  return hash64(canonicalJson(wish(command)))
}

function wish(command: Command): unknown {
  switch (command.kind) {
    case 'token-create': {
      const { kind, role, uses } = command
      return { kind, role, uses }
    }
    case 'datastore-add': {
      const { id: _, ...rest } = command
      return rest
    }
    case 'disk-create': {
      const { id: _, host: __, job: ___, ...rest } = command
      return rest
    }
    case 'disk-resize':
    case 'disk-delete':
    case 'vm-delete': {
      const { host: _, job: __, ...rest } = command
      return rest
    }
    case 'vm-create': {
      const { id: _, host: __, startJob, machineType: ___, disks, ...rest } = command
      return { ...rest, start: startJob !== null, disks: disks.map((disk) => ('id' in disk ? { ...disk, id: null } : disk)) }
    }
    case 'vm-start':
    case 'vm-shutdown':
    case 'vm-stop':
    case 'vm-reboot':
    case 'vm-pause':
    case 'vm-resume': {
      const { job: _, ...rest } = command
      return rest
    }
    default:
      return command
  }
}

function hash64(text: string): string {
  let low = 0x811c9dc5
  let high = 0xcbf29ce4
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code ^ (low >>> 13), 0x5bd1e995)
  }
  return hex32(high) + hex32(low)
}

function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}
