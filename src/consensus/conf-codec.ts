// A configuration change as the data of a `config` entry. An empty change is no bytes at all: it leaves a joint configuration.
import { OperationError } from '../base/errors.ts'
import { type ConfChange, type ConfChangeStep } from './types.ts'

// Layout: version 1 | transition (0 auto, 1 implicit, 2 explicit) | number of steps (u16) | steps: kind (u8), node (u53 as f64) | context.
// A float64 holds every safe integer exactly and needs no BigInt.
const VERSION = 1
const TRANSITIONS = ['auto', 'implicit', 'explicit'] as const
const KINDS = ['add-voter', 'add-learner', 'remove', 'update'] as const
const HEAD_BYTES = 4
const STEP_BYTES = 9

/** Throws OperationError `usage` for more than 65,535 steps. */
export function encodeConfChange(change: ConfChange): Uint8Array {
  if (change.transition === 'auto' && change.changes.length === 0 && change.context.length === 0) return new Uint8Array(0)
  if (change.changes.length > 0xffff)
    throw new OperationError('usage', `configuration change has ${change.changes.length} steps, 65535 at most`)
  const bytes = new Uint8Array(HEAD_BYTES + change.changes.length * STEP_BYTES + change.context.length)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, VERSION)
  view.setUint8(1, TRANSITIONS.indexOf(change.transition))
  view.setUint16(2, change.changes.length)
  change.changes.forEach((step, number) => {
    view.setUint8(HEAD_BYTES + number * STEP_BYTES, KINDS.indexOf(step.kind))
    view.setFloat64(HEAD_BYTES + number * STEP_BYTES + 1, step.node)
  })
  bytes.set(change.context, HEAD_BYTES + change.changes.length * STEP_BYTES)
  return bytes
}

/** Throws OperationError `failed` naming what was found for bytes that encodeConfChange never makes. */
export function decodeConfChange(data: Uint8Array): ConfChange {
  if (data.length === 0) return { transition: 'auto', changes: [], context: data }
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  if (data.length < HEAD_BYTES) throw malformed(`${data.length} bytes, at least ${HEAD_BYTES} needed`)
  if (view.getUint8(0) !== VERSION) throw malformed(`version ${view.getUint8(0)}, known is ${VERSION}`)
  const transition = TRANSITIONS[view.getUint8(1)]
  if (transition === undefined) throw malformed(`transition ${view.getUint8(1)}`)
  const count = view.getUint16(2)
  const end = HEAD_BYTES + count * STEP_BYTES
  if (data.length < end) throw malformed(`${data.length} bytes, ${count} steps need ${end}`)
  const changes = Array.from({ length: count }, (_, number) => decodeStep(view, HEAD_BYTES + number * STEP_BYTES))
  return { transition, changes, context: data.slice(end) }
}

function decodeStep(view: DataView, offset: number): ConfChangeStep {
  const kind = KINDS[view.getUint8(offset)]
  const node = view.getFloat64(offset + 1)
  if (kind === undefined) throw malformed(`step kind ${view.getUint8(offset)}`)
  if (!Number.isSafeInteger(node) || node <= 0) throw malformed(`node ${node}`)
  return { kind, node }
}

function malformed(found: string): OperationError {
  return new OperationError('failed', `configuration change in the log cannot be read: ${found}`)
}
