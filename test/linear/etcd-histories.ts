// The published histories of etcd-histories.txt with their known verdicts.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RegisterHistory, type RegisterInput, type RegisterOperation, type RegisterOutput } from './register.ts'

export interface KnownHistory {
  readonly number: string
  readonly verdict: string
  readonly history: RegisterHistory
}

export function etcdHistories(): readonly KnownHistory[] {
  const lines = readFileSync(join(import.meta.dirname, 'etcd-histories.txt'), 'utf8').split('\n')
  return lines.flatMap((line) => {
    if (line === '' || line.startsWith('#')) return []
    const [number = '', verdict = '', ...events] = line.split(' ')
    return [{ number, verdict, history: historyOf(events) }]
  })
}

function historyOf(events: readonly string[]): RegisterHistory {
  const operations: RegisterOperation[] = []
  const open = new Map<number, number>()
  for (const [at, event] of events.entries()) {
    const [, name = '', sign = '', rest = ''] = /^(\d+)(.)(.*)$/.exec(event) ?? []
    const client = Number(name)
    const input = inputOf(sign, rest)
    if (input !== undefined) {
      open.set(client, operations.length)
      operations.push({ client, input, calledAt: at, answer: undefined })
      continue
    }
    const index = open.get(client)
    const operation = index === undefined ? undefined : operations[index]
    if (index === undefined || operation === undefined) throw new Error(`answer "${event}" to nothing`)
    open.delete(client)
    // A read that failed told nothing.
    if (sign !== '?') operations[index] = { ...operation, answer: { at, output: outputOf(sign, rest, operation.input) } }
  }
  return operations
}

function inputOf(sign: string, rest: string): RegisterInput | undefined {
  const key = 'register'
  const [expected = '', value = ''] = rest.split(',')
  if (sign === 'r') return { kind: 'read', key }
  if (sign === 'w') return { kind: 'write', key, value: rest }
  return sign === 'c' ? { kind: 'cas', key, expected, value } : undefined
}

function outputOf(sign: string, rest: string, input: RegisterInput): RegisterOutput {
  if (sign === '=') return { kind: 'value', value: rest === '-' ? null : rest }
  if (sign === '!') return { kind: 'differed', found: undefined }
  return { kind: input.kind === 'cas' ? 'swapped' : 'written' }
}
