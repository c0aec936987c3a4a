// What a refusal's code says to scripts: gone, in the way for now, or refused by a check.
import { expect, it } from 'vitest'
import { missing, refused, taken } from '../../src/inventory/results.ts'

const jobOpen = { code: 'job-open', message: 'job j is at work on it' }

it.each([
  ['conflict', [jobOpen]],
  ['conflict', [taken('vm', 'web'), jobOpen]],
  ['not-found', [missing('vm', 'web')]],
  ['not-found', [missing('vm', 'web'), missing('host', 'h1')]],
  ['refused', [missing('vm', 'web'), taken('vm', 'web')]],
  ['refused', [taken('vm', 'web')]],
  ['refused', []],
])('%s for %j', (code, reasons) => expect(refused('no', reasons)).toEqual({ kind: 'refused', code, message: 'no', reasons }))
