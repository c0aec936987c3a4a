// Reads a backup from a file: line by line, with its checksum, into whatever takes its rows.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { errorText, OperationError } from '../base/errors.ts'
import { type BackupHead, backupRefused, damagedBackup, parseHead, parseLine } from '../inventory/backup-lines.ts'

export interface ReadBackup {
  readonly head: BackupHead
  readonly rows: number
  /** SHA-256 in hex over all but the last line. */
  readonly sum: string
}

/** What `row` was given counts only once this resolves. Throws `not-found` for no file, `refused` with the reason for anything but a whole backup. */
export async function readBackup(path: string, row: (key: string, value: Uint8Array) => void): Promise<ReadBackup> {
  const hash = createHash('sha256')
  let head: BackupHead | undefined
  let end: { readonly rows: number; readonly sum: string } | undefined
  let rows = 0
  for await (const line of linesOf(path)) {
    if (end !== undefined) throw damagedBackup('something stands behind its last line')
    if (head === undefined) head = parseHead(line)
    else {
      const parsed = parseLine(line, rows + 2)
      if (parsed.kind === 'end') {
        end = parsed
        continue
      }
      row(parsed.key, parsed.value)
      rows += 1
    }
    hash.update(`${line}\n`)
  }
  if (head === undefined) throw backupRefused('no-backup', 'it is empty', 'name a file that hostmesh mesh backup made')
  if (end === undefined)
    throw backupRefused('backup-truncated', `it ends after ${rows} rows, without its last line`, 'use another copy of it')
  const sum = hash.digest('hex')
  if (end.sum !== sum || end.rows !== rows)
    throw damagedBackup(`its checksum does not fit what it holds (${rows} rows; its last line says ${end.rows})`)
  return { head, rows, sum }
}

async function* linesOf(path: string): AsyncGenerator<string, void, undefined> {
  const stream = createReadStream(path, 'utf8')
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
  try {
    yield* lines
  } catch (cause) {
    throw new OperationError('not-found', `the backup ${path} cannot be read: ${errorText(cause)}`, { cause })
  } finally {
    lines.close()
    stream.destroy()
  }
}
