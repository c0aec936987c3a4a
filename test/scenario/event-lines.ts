// What happened, in the words of a story: of the agreed state its events, of the world what its trace notes.
import { type Reason } from '../../src/base/errors.ts'
import { isFields } from '../../src/base/parse.ts'
import { type Event, type Vm } from '../../src/inventory/model.ts'
import { formatEpoch } from '../../src/inventory/view.ts'
import { type Applied } from '../sim/state-watch.ts'

export interface Line {
  readonly who: string
  readonly text: string
}

/** Notes of the trace that belong in a story, and how they read. */
const NOTED: Readonly<Record<string, (words: string) => string>> = {
  leads: () => 'leads',
  'power on': () => 'power on',
  'power cut': () => 'power cut',
  'agent starts': () => 'agent starts',
  'agent killed': () => 'agent killed',
  'agent frozen': () => 'agent frozen',
  'agent thawed': () => 'agent thawed',
  'peer up': (words) => `host ${words} heard`,
  'peer down': (words) => `host ${words} suspect`,
  'cpus-on': (words) => `guest ${words} runs`,
  'cpus-off': (words) => `guest ${words} does not run any more`,
  gone: (words) => `guest ${words} is gone`,
}

export function noteLine(who: string, what: string, words: string): Line | undefined {
  const reads = NOTED[what]
  return reads === undefined ? undefined : { who, text: reads(words) }
}

/** The events of one entry, who of the actors did it first. `nameOf` turns a host's id into its name. */
export function eventLines({ before, after, record }: Applied, nameOf: (host: string) => string): readonly Line[] {
  const who = /^(?:leader |host |admin@)(.*)$/.exec(record.actor)?.[1] ?? record.actor
  const known = new Set(before.events)
  return after.events.filter((event) => !known.has(event)).map((event) => ({ who, text: eventText(event, nameOf) }))
}

/** `vm web: assigned, to b, epoch 1.1`; a failure with its reasons. */
function eventText(event: Event, nameOf: (host: string) => string): string {
  const [noun = '', verb = ''] = event.type.split('.')
  const what = verb.replaceAll('-', ' ')
  const { host, epoch, reasons, kind, after, key } = event.data
  const details = [
    noun === 'job' ? `${String(kind)} ${what}` : what,
    ...(typeof key === 'string' ? [`${key} = ${String(after)}`] : []),
    ...(typeof host === 'string' ? [`on ${nameOf(host)}`] : []),
    ...(typeof epoch === 'string' ? [`epoch ${epoch}`] : []),
  ]
  const why = reasonTexts(reasons).join('; ')
  // Token ids are chance, and say nothing.
  const object = event.object.startsWith('token ') ? 'token' : event.object
  return `${object}: ${details.join(', ')}${why === '' ? '' : ` (${why})`}`
}

/** Of refusals and failures. Why a host was chosen is for the tests of the scheduler: its words would change every story. */
function reasonTexts(reasons: unknown): readonly string[] {
  if (!Array.isArray(reasons)) return []
  return reasons.filter(isReason).map(({ message, fix }) => (fix === undefined ? message : `${message} -> ${fix}`))
}

function isReason(reason: unknown): reason is Reason {
  return isFields(reason) && typeof reason['message'] === 'string'
}

/** How a list shows a VM. */
export function vmLine(vm: Vm, state: string, nameOf: (host: string) => string): string {
  return vm.owner === null
    ? `${vm.name} ${state}`
    : `${vm.name} ${state} on ${nameOf(vm.owner.host)} (epoch ${formatEpoch(vm.owner.epoch)})`
}
