// Hosts that are members already: what their agents report of them, and what people set.
import { type Reason } from '../base/errors.ts'
import { canonicalJson } from './canonical-json.ts'
import { type Command } from './command.ts'
import { type Draft } from './draft.ts'
import { type CommandResult, type Host } from './model.ts'
import { done, notFound, refused, stale, taken } from './results.ts'
import { addressReasons, validate } from './validate.ts'

type HostCommand = Extract<Command, { kind: 'agent-started' | 'host-addresses' | 'host-alarm' | 'host-set' }>

export function applyHost(draft: Draft, command: HostCommand): CommandResult {
  const host = draft.state.hosts.get(command.host)
  if (host === undefined) return notFound('host', command.host)
  switch (command.kind) {
    case 'agent-started':
      return agentStarted(draft, host, command)
    case 'host-addresses':
      return addresses(draft, host, command.addresses)
    case 'host-alarm':
      return alarm(draft, host, command)
    case 'host-set':
      return set(draft, host, command)
  }
}

/** The first report makes a joining host `up`: its agent has applied its own admission and serves. */
function agentStarted(draft: Draft, host: Host, command: Extract<Command, { kind: 'agent-started' }>): CommandResult {
  if (host.member !== command.member) return stale(`host ${host.name} is member ${host.member} now, not ${command.member}`)
  const reasons = addressReasons(command.addresses)
  if (reasons.length > 0) return refused(`host ${host.name} cannot be reached so`, reasons)
  const { facts, bootId } = command
  const status = host.status === 'joining' ? 'up' : host.status
  const incarnation = host.incarnation + 1
  draft.put('hosts', { ...host, facts, bootId, addresses: command.addresses, status, incarnation })
  draft.event('host.started', `host ${host.name}`, { id: host.id, incarnation, version: facts.version, booted: bootId !== host.bootId })
  return done({ id: host.id, incarnation })
}

function addresses(draft: Draft, host: Host, wanted: readonly string[]): CommandResult {
  const reasons = addressReasons(wanted)
  if (reasons.length > 0) return refused(`host ${host.name} cannot be reached so`, reasons)
  if (canonicalJson(host.addresses) === canonicalJson(wanted)) return done({ id: host.id })
  draft.put('hosts', { ...host, addresses: wanted })
  draft.event('host.moved', `host ${host.name}`, { id: host.id, before: host.addresses, after: wanted })
  return done({ id: host.id })
}

const ALARM_EVENTS = { 'peer-refused': 'peer.refused', 'identity-cloned': 'identity.cloned' } as const

/** Changes nothing but the event log. */
function alarm(draft: Draft, host: Host, { alarm: kind, subject, why }: Extract<Command, { kind: 'host-alarm' }>): CommandResult {
  draft.event(ALARM_EVENTS[kind], subject, { at: host.name, why })
  return done()
}

function set(draft: Draft, host: Host, command: Extract<Command, { kind: 'host-set' }>): CommandResult {
  const { name = host.name, labels = {} } = command
  const reasons: Reason[] = [...validate(command)]
  if ([...draft.state.hosts.values()].some((other) => other.id !== host.id && other.name === name)) reasons.push(taken('host', name))
  if (reasons.length > 0) return refused(`host ${host.name} is left as it is`, reasons)
  const changed: Host = { ...host, name, labels: relabelled(host.labels, labels) }
  if (canonicalJson(changed) === canonicalJson(host)) return done({ id: host.id })
  draft.put('hosts', changed)
  draft.event('host.changed', `host ${host.name}`, { id: host.id, ...(name === host.name ? {} : { name }), labels })
  return done({ id: host.id })
}

/** A label that is set to null goes. */
function relabelled(labels: Host['labels'], changes: Readonly<Record<string, string | null>>): Host['labels'] {
  const entries = Object.entries({ ...labels, ...changes })
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== null))
}
