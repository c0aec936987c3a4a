// Command records as bytes: what stands in a Raft entry. Read strictly: what a member could not apply must not enter the log.
import { OperationError } from '../base/errors.ts'
import { asFields, parseJson } from '../base/parse.ts'
import { COMMAND_VERSION, type CommandRecord } from './command.ts'
import { commandRecord } from './command-shapes.ts'
import { UnknownCommand } from './unknown-command.ts'

export function encodeRecord(record: CommandRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record))
}

/**
 * Throws UnknownCommand for a newer version or a kind that is not known here, OperationError `usage` for anything else that is no record:
 * both are refusals before the log, and fatal for a member that finds them in it.
 */
export function decodeRecord(encoded: Uint8Array): CommandRecord {
  const found = parseJson(decodeText(encoded), 'record')
  const { version } = asFields(found, 'record')
  // Before all else: a newer record may have any shape.
  if (typeof version === 'number' && version > COMMAND_VERSION) throw new UnknownCommand(`a command of version ${version}`)
  return commandRecord(found, 'record')
}

function decodeText(encoded: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(encoded)
  } catch (cause) {
    throw new OperationError('usage', `record of ${encoded.length} bytes is no UTF-8 text`, { cause })
  }
}
