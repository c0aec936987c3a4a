// What agent and warden say to each other over a unix socket: one JSON object a line, versioned from the first day.
import { OperationError } from '../base/errors.ts'
import { type VmId } from '../base/ids.ts'
import { asCount, asFields, asList, asOneOf, asText, orNull, parseJson, type Fields } from '../base/parse.ts'
import { type Epoch, type StopIntent } from '../inventory/model.ts'
import { type Run } from './driver.ts'

/**
 * The agent refuses to work with a warden whose protocol it does not speak; a warden is replaced only while no guest runs. `hello` and `exit`
 * keep their form in every version: any agent can ask any warden who it is, and to go.
 */
export const WARDEN_PROTOCOL = 1

/** Names in the directory that agent and warden share. */
export const WARDEN_SOCKET = 'warden.sock'
export const WARDEN_LEDGER = 'runs.ledger'

/** Names in the directory of a run. */
export const WARDEN_MONITOR = 'warden.qmp'
export const AGENT_MONITOR = 'agent.qmp'
export const CONSOLE_SOCKET = 'console.sock'
export const QEMU_OUTPUT = 'qemu.log'

/** A start with many disks has some 20 KiB of arguments, a list of a thousand runs some 500 KiB; a longer line is a fault. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024

/** Every request carries an id that its answer repeats; answers may overtake each other. */
export type WardenRequest = { readonly id: number } & WardenCall

export type WardenCall =
  | { readonly kind: 'hello'; readonly protocol: number }
  | { readonly kind: 'list' }
  /**
   * Ledger line `start` (fsynced) first, then QEMU under setpriv --pdeathsig KILL, its CPUs stopped. Answered `started` when QEMU answers
   * QMP; `failed` when it ended instead, the run is then listed as ended. `directory` holds the run's sockets and QEMU's output.
   */
  | ({ readonly kind: 'start'; readonly argv: readonly string[]; readonly directory: string } & Run)
  /** Instead of a start that cannot be tried: notes the run as ended by `start-failed`. `conflict` when its epoch was used. */
  | ({ readonly kind: 'reject'; readonly words: string } & Run)
  /** Ledger line `stop` with the intent (fsynced) first, then QMP `quit`, after 2 s kill -9; answered when reaped. */
  | ({ readonly kind: 'end'; readonly intent: StopIntent; readonly words: string } & Run)
  | ({ readonly kind: 'pause' | 'resume' | 'reset' | 'forget' } & Run)
  /** Ends the warden; refused while a guest runs. */
  | { readonly kind: 'exit' }

/** A run as the warden knows it, from its children and the ledger. */
export type WardenRun = Run &
  (
    | { readonly kind: 'live'; readonly pid: number | null; readonly directory: string }
    | {
        readonly kind: 'ended'
        readonly intent: StopIntent
        readonly exitCode: number | null
        readonly signal: string | null
        /** QEMU's last output, or why it was ended. */
        readonly words: string
      }
  )

export type WardenReply = { readonly id: number } & WardenAnswer

export type WardenAnswer =
  | { readonly kind: 'ok' }
  | { readonly kind: 'hello'; readonly protocol: number; readonly pid: number; readonly version: string; readonly bootId: string }
  | { readonly kind: 'runs'; readonly runs: readonly WardenRun[] }
  | { readonly kind: 'started'; readonly pid: number }
  /** `reason`: the code of the rule that forbids it (run-rules.ts), where one does; wardens from before 2026-11-25 say none. */
  | { readonly kind: 'error'; readonly code: WardenErrorCode; readonly message: string; readonly reason: string | null }

const ERROR_CODES = ['conflict', 'not-found', 'failed', 'usage', 'timeout'] as const
export type WardenErrorCode = (typeof ERROR_CODES)[number]

/** Pushed without a request: a guest's process ended, ask for the list. */
export interface WardenNotice {
  readonly kind: 'changed'
}

/** Why a run ended, all of them. */
export const STOP_INTENTS = ['off', 'crash', 'start-failed', 'host-down'] as const satisfies readonly StopIntent[]

/** Throws `usage` naming what was wrong; `id` is 0 in an answer to what has none. */
export function parseRequest(line: string): WardenRequest {
  const fields = asFields(parseJson(line, 'the request'), 'the request')
  return { id: asCount(fields['id'], 'id'), ...parseCall(fields) }
}

const CALLS = ['hello', 'list', 'start', 'reject', 'end', 'pause', 'resume', 'reset', 'forget', 'exit'] as const

function parseCall(fields: Fields): WardenCall {
  const kind = asOneOf(fields['kind'], CALLS, 'kind')
  switch (kind) {
    case 'hello':
      return { kind, protocol: asCount(fields['protocol'], 'protocol') }
    case 'list':
    case 'exit':
      return { kind }
    case 'start': {
      const argv = asList(fields['argv'], 'argv').map((value) => asText(value, 'an argument'))
      return { kind, ...parseRun(fields), argv, directory: asText(fields['directory'], 'directory') }
    }
    case 'reject':
      return { kind, ...parseRun(fields), words: asText(fields['words'], 'words') }
    case 'end':
      return {
        kind,
        ...parseRun(fields),
        intent: asOneOf(fields['intent'], STOP_INTENTS, 'intent'),
        words: asText(fields['words'], 'words'),
      }
    case 'pause':
    case 'resume':
    case 'reset':
    case 'forget':
      return { kind, ...parseRun(fields) }
  }
}

/** Throws `usage` for what no warden of this protocol sends. */
export function parseMessage(line: string): WardenReply | WardenNotice {
  const fields = asFields(parseJson(line, 'the answer'), 'the answer')
  if (fields['kind'] === 'changed') return { kind: 'changed' }
  return { id: asCount(fields['id'], 'id'), ...parseAnswer(fields) }
}

function parseAnswer(fields: Fields): WardenAnswer {
  const kind = asOneOf(fields['kind'], ['ok', 'hello', 'runs', 'started', 'error'] as const, 'kind')
  switch (kind) {
    case 'ok':
      return { kind }
    case 'hello':
      return {
        kind,
        protocol: asCount(fields['protocol'], 'protocol'),
        pid: asCount(fields['pid'], 'pid'),
        version: asText(fields['version'], 'version'),
        bootId: asText(fields['bootId'], 'bootId'),
      }
    case 'runs':
      return { kind, runs: asList(fields['runs'], 'runs').map(parseWardenRun) }
    case 'started':
      return { kind, pid: asCount(fields['pid'], 'pid') }
    case 'error':
      return {
        kind,
        code: asOneOf(fields['code'], ERROR_CODES, 'code'),
        message: asText(fields['message'], 'message'),
        reason: orNull(fields['reason'] ?? null, 'reason', asText),
      }
  }
}

function parseWardenRun(value: unknown): WardenRun {
  const fields = asFields(value, 'a run')
  const run = parseRun(fields)
  const kind = asOneOf(fields['kind'], ['live', 'ended'] as const, 'kind')
  if (kind === 'live') {
    return { ...run, kind, pid: orNull(fields['pid'], 'pid', asCount), directory: asText(fields['directory'], 'directory') }
  }
  return {
    ...run,
    kind,
    intent: asOneOf(fields['intent'], STOP_INTENTS, 'intent'),
    exitCode: orNull(fields['exitCode'], 'exitCode', asCount),
    signal: orNull(fields['signal'], 'signal', asText),
    words: asText(fields['words'], 'words'),
  }
}

/** The (vm, epoch) in a message or a line of the ledger. */
export function parseRun(fields: Fields): Run {
  return { vm: parseVmId(fields['vm']), epoch: parseEpoch(fields['epoch']) }
}

function parseEpoch(value: unknown): Epoch {
  const fields = asFields(value, 'epoch')
  return { generation: asCount(fields['generation'], 'generation'), counter: asCount(fields['counter'], 'counter') }
}

function parseVmId(value: unknown): VmId {
  if (isVmId(value)) return value
  throw new OperationError('usage', `vm must be the id of a VM, found ${JSON.stringify(value)}`)
}

/** Ids become names of folders: nothing that leads elsewhere. */
function isVmId(value: unknown): value is VmId {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(value)
}
