// The error that stops a member instead of letting it skip what it does not understand.
import { OperationError } from '../base/errors.ts'
import { COMMAND_VERSION } from './command.ts'

/**
 * A command that this program does not know. A member that meets one in its log stops: skipping it would make its state differ from the
 * others'. Before the log it is an ordinary refusal.
 */
export class UnknownCommand extends OperationError {
  override name = 'UnknownCommand'

  constructor(what: string) {
    super('refused', `${what} is not known to this hostmesh (it knows commands up to version ${COMMAND_VERSION}): upgrade this host`)
  }
}
