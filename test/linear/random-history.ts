// Histories of a register that really is one: clients call, it takes effect at some moment, they hear of it, or never do.
import { between, type Random } from '../../src/base/random.ts'
import { type RegisterInput, type RegisterOperation, type RegisterOutput, type Value } from './register.ts'

export interface HistoryOptions {
  readonly operations: number
  readonly clients: number
  readonly keys: number
  /** Values are numbered when absent, else drawn from so many: the same one is written again and again. */
  readonly values?: number
  /** Share of calls whose outcome is not known; half of these take effect, some much later. */
  readonly unknown: number
}

interface Call {
  readonly client: number
  readonly input: RegisterInput
  readonly calledAt: number
  output: RegisterOutput | undefined
  answeredAt: number | undefined
  readonly heard: boolean
}

export function randomHistory(random: Random, options: HistoryOptions): RegisterOperation[] {
  const store = new Map<string, Value>()
  const calls: Call[] = []
  const idle = new Set(Array.from({ length: options.clients }, (_, client) => client))
  let waiting: Call[] = []
  for (let at = 0; calls.length < options.operations || waiting.some(({ heard }) => heard); at += 1) {
    const turn = between(random, 0, idle.size + waiting.length - 1)
    const client = [...idle][turn]
    if (client !== undefined && calls.length < options.operations) {
      const heard = random.float() >= options.unknown
      const input = randomInput(random, options, calls.length)
      const call: Call = { client, input, calledAt: at, output: undefined, answeredAt: undefined, heard }
      calls.push(call)
      if (heard) idle.delete(client)
      if (heard || random.float() < 0.5) waiting.push(call)
      continue
    }
    const call = waiting[Math.max(0, turn - idle.size)]
    if (call === undefined) continue
    if (call.output === undefined) {
      call.output = takeEffect(store, call.input)
    } else {
      waiting = waiting.filter((other) => other !== call)
      if (call.heard) call.answeredAt = at
      if (call.heard) idle.add(call.client)
    }
  }
  return calls.map(({ client, input, calledAt, output, answeredAt }) => ({
    client,
    input,
    calledAt,
    answer: output === undefined || answeredAt === undefined ? undefined : { at: answeredAt, output },
  }))
}

function randomInput(random: Random, { keys, values }: HistoryOptions, number: number): RegisterInput {
  const key = `k${between(random, 1, keys)}`
  const value = values === undefined ? `v${number}` : `v${between(random, 1, values)}`
  const dice = random.float()
  if (dice < 0.4) return { kind: 'read', key }
  if (dice < 0.7) return { kind: 'write', key, value }
  const expected = values === undefined ? `v${between(random, Math.max(0, number - 6), number)}` : `v${between(random, 1, values)}`
  return { kind: 'cas', key, expected, value }
}

function takeEffect(store: Map<string, Value>, input: RegisterInput): RegisterOutput {
  const found = store.get(input.key) ?? null
  if (input.kind === 'read') return { kind: 'value', value: found }
  if (input.kind === 'cas' && found !== input.expected) return { kind: 'differed', found }
  store.set(input.key, input.value)
  return { kind: input.kind === 'cas' ? 'swapped' : 'written' }
}
