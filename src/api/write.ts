// How a write is carried out: read what is agreed, plan, try the command on a copy, then propose it once.
import { within } from '../base/deadline.ts'
import { OperationError } from '../base/errors.ts'
import { type RequestKey } from '../base/ids.ts'
import { apply } from '../inventory/apply.ts'
import { COMMAND_VERSION, type CommandRecord } from '../inventory/command.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type CommandResult } from '../inventory/model.ts'
import { type ApiContext } from './context.ts'
import { type WriteName } from './contract.ts'
import { readForWrite } from './freshness.ts'
import { type Plan, type Request, type WriteHandler } from './handler.ts'
import { type WriteAnswer } from './types.ts'

/** A proposal waits this long for its outcome: longer than elections in a row, shorter than a client's patience, which asks again. */
const PROPOSE_MS = 10_000

export interface WriteHeader {
  /** The same key with the same request is carried out once. */
  readonly key: RequestKey
  /** Checks and plans only. */
  readonly dryRun: boolean
  /** Kept in the event. */
  readonly reason: string | null
}

/**
 * Rejects with what was found out: `refused` and its kin or `no-quorum`: surely nothing was done; `timeout`: unknown, ask again with the same
 * key.
 */
export async function write<N extends WriteName>(request: Request<N>, handler: WriteHandler<N>, header: WriteHeader): Promise<WriteAnswer> {
  const { context, signal } = request
  const inventory = await readForWrite(context, signal)
  const plan = async (): Promise<Plan> => handler({ ...request, inventory, key: header.key })
  const recorded = header.dryRun ? undefined : inventory.requests.get(header.key)
  if (recorded !== undefined) return repeat(request, plan, { header, result: recorded.result })
  const fresh = await plan()
  assertAllowed(context, inventory, fresh)
  if (header.dryRun) return { dryRun: true, plan: [...fresh.steps], id: null, job: null }
  return answerOf(fresh, await propose(request, fresh, header))
}

/**
 * A request that came before. Its own first try may be why it cannot be planned now (the name is taken, the object is gone): then the recorded
 * answer stands. Otherwise the log compares the two wishes and answers.
 */
async function repeat(
  request: Request<WriteName>,
  plan: () => Promise<Plan>,
  { header, result }: { readonly header: WriteHeader; readonly result: CommandResult },
): Promise<WriteAnswer> {
  let again: Plan
  try {
    again = await plan()
  } catch (error) {
    if (error instanceof OperationError) return answerOf(null, result)
    throw error
  }
  return answerOf(again, await propose(request, again, header))
}

/** Throws every reason at once: those of the inventory's rules, by the very code that will decide, and those of the plan. */
function assertAllowed(context: ApiContext, inventory: Inventory, plan: Plan): void {
  const record: CommandRecord = {
    version: COMMAND_VERSION,
    at: context.clock.wall(),
    actor: actorOf(context),
    reason: null,
    requestKey: null,
    command: plan.command,
  }
  const { result } = apply(inventory, record, { index: inventory.index + 1, term: context.cluster.status().term })
  const own = plan.reasons ?? []
  if (result.kind !== 'refused' && own.length === 0) return
  const [code, reasons] = result.kind === 'refused' ? [result.code, result.reasons] : ['refused' as const, []]
  throw new OperationError(own.length > 0 ? 'refused' : code, `cannot ${plan.what}`, {
    reasons: [...reasons, ...own],
    data: { plan: plan.steps },
  })
}

function propose({ context, signal }: Request<WriteName>, plan: Plan, { key, reason }: WriteHeader): Promise<CommandResult> {
  const { clock, cluster } = context
  const options = { actor: actorOf(context), reason, requestKey: key }
  const work = (limited: AbortSignal): Promise<CommandResult> => cluster.propose(plan.command, { ...options, signal: limited })
  return within({ clock, ms: PROPOSE_MS, what: `to ${plan.what}`, signal }, work)
}

function answerOf(plan: Plan | null, result: CommandResult): WriteAnswer {
  switch (result.kind) {
    case 'done': {
      const id = result.value.id ?? null
      const secret = plan?.secretOf?.(id)
      return {
        dryRun: false,
        plan: [...(plan?.steps ?? [])],
        id,
        job: result.value.job ?? null,
        ...(secret === undefined ? {} : { secret }),
      }
    }
    case 'refused':
      throw new OperationError(result.code, result.message, { reasons: result.reasons })
    case 'stale':
      throw new OperationError('conflict', result.why)
  }
}

function actorOf({ self }: ApiContext): string {
  return `admin@${self.name()}`
}
