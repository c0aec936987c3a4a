// A backup as lines of text: a head, a line a row, and an end with a checksum over all before it. Written and read without holding it as a whole.
import { OperationError } from '../base/errors.ts'
import { type MeshId } from '../base/ids.ts'
import { asCount, asFields, asFlag, asText, parseJson } from '../base/parse.ts'
import { text } from '../base/shape.ts'
import { canonicalJson } from './canonical-json.ts'
import { type Mesh } from './model.ts'
import { FORMAT_VERSION } from './snapshot.ts'

/** Raised with every change of a line that an older program could not read. */
export const BACKUP_VERSION = 1
const FORMAT = 'hostmesh-backup'

export interface BackupHead {
  readonly mesh: Pick<Mesh, 'id' | 'name' | 'generation'>
  /** The last entry in it, and the term that the host knew of. */
  readonly index: number
  readonly term: number
  /** Milliseconds since 1970. */
  readonly at: number
  /** Name of the host that made it, and its version. */
  readonly by: string
  readonly program: string
  /** Made without a quorum: later changes may have been confirmed elsewhere. */
  readonly stale: boolean
}

export type BackupLine =
  | { readonly kind: 'head'; readonly head: BackupHead }
  | { readonly kind: 'row'; readonly key: string; readonly value: Uint8Array }
  /** `sum`: SHA-256 in hex over every line before, each with its newline. */
  | { readonly kind: 'end'; readonly rows: number; readonly sum: string }

export function headLine(head: BackupHead): string {
  return JSON.stringify({ format: FORMAT, version: BACKUP_VERSION, rowFormat: FORMAT_VERSION, ...head })
}

/** `value` is the row as it is stored: JSON already. */
export function rowLine(key: string, value: Uint8Array): string {
  return `{"key":${JSON.stringify(key)},"value":${new TextDecoder().decode(value)}}`
}

export function endLine(rows: number, sum: string): string {
  return JSON.stringify({ end: true, rows, sum })
}

/** Throws `refused` for a file that is no backup, or one of a newer hostmesh. */
export function parseHead(line: string): BackupHead {
  const found = fieldsOrNothing(line)
  if (found['format'] !== FORMAT)
    throw backupRefused('no-backup', 'it does not begin as a backup of hostmesh does', 'name a file that hostmesh mesh backup made')
  const { version, rowFormat } = found
  if (version !== BACKUP_VERSION || rowFormat !== FORMAT_VERSION) {
    const needed = `this one reads version ${BACKUP_VERSION} with rows of format ${FORMAT_VERSION}`
    const message = `it is of version ${String(version)} with rows of format ${String(rowFormat)}, made by hostmesh ${String(found['program'])}; ${needed}`
    throw backupRefused('backup-version', message, 'install the version of hostmesh that made it')
  }
  return readable('its head', () => {
    const mesh = asFields(found['mesh'], 'mesh')
    return {
      mesh: {
        id: text<MeshId>(128)(mesh['id'], 'mesh.id'),
        name: asText(mesh['name'], 'mesh.name'),
        generation: asCount(mesh['generation'], 'mesh.generation'),
      },
      index: asCount(found['index'], 'index'),
      term: asCount(found['term'], 'term'),
      at: asCount(found['at'], 'at'),
      by: asText(found['by'], 'by'),
      program: asText(found['program'], 'program'),
      stale: asFlag(found['stale'], 'stale'),
    }
  })
}

/** Any line behind the head; `number` counts from 1. Throws `refused` as damaged. */
export function parseLine(line: string, number: number): Exclude<BackupLine, { kind: 'head' }> {
  return readable(`line ${number}`, () => {
    const found = asFields(parseJson(line, 'line'), 'line')
    if (found['end'] === true) return { kind: 'end', rows: asCount(found['rows'], 'rows'), sum: asText(found['sum'], 'sum') }
    return { kind: 'row', key: asText(found['key'], 'key'), value: new TextEncoder().encode(canonicalJson(found['value'])) }
  })
}

export function backupRefused(
  code: 'no-backup' | 'backup-version' | 'backup-damaged' | 'backup-truncated',
  message: string,
  fix: string,
): OperationError {
  return new OperationError('refused', 'the backup cannot be used', { reasons: [{ code, message, fix }] })
}

export function damagedBackup(message: string): OperationError {
  return backupRefused('backup-damaged', message, 'use another backup, or another copy of this one')
}

function readable<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof OperationError) throw damagedBackup(`${what} cannot be read: ${error.message}`)
    throw error
  }
}

function fieldsOrNothing(line: string): Readonly<Record<string, unknown>> {
  try {
    return asFields(parseJson(line, 'head'), 'head')
  } catch {
    return {}
  }
}
