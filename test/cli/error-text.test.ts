// Errors as people and scripts see them.
import { describe, expect, it } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { errorJson, errorText } from '../../src/cli/error-text.ts'
import { painter } from '../../src/cli/color.ts'

const plain = painter(false)
const error = new OperationError('refused', 'cannot start VM web', {
  data: { vm: 'web' },
  reasons: [
    { code: 'memory', message: 'web needs 2048 MiB, h1 has 512 MiB left', fix: 'stop a VM on h1' },
    { code: 'liveness', message: 'h2 is not heard of' },
  ],
})

describe('an error', () => {
  it('tells what failed, every check with what it found, and what mends it', () => {
    expect(errorText(error, plain)).toBe(
      [
        'error: cannot start VM web',
        '  - memory: web needs 2048 MiB, h1 has 512 MiB left',
        '    mend: stop a VM on h1',
        '  - liveness: h2 is not heard of',
        '',
      ].join('\n'),
    )
  })

  it('does not say the same thing twice', () => {
    const same = new OperationError('usage', 'no such flag', {
      reasons: [{ code: 'usage', message: 'no such flag', fix: 'hostmesh --help' }],
    })
    expect(errorText(same, plain)).toBe('error: no such flag\n    mend: hostmesh --help\n')
  })

  it('is one line of JSON for scripts, with all that the agent said', () => {
    const text = errorJson(error)
    expect(text.trimEnd()).not.toContain('\n')
    expect(JSON.parse(text)).toEqual({ error: { code: 'refused', message: error.message, data: { vm: 'web' }, reasons: error.reasons } })
  })

  it('never shows a stack trace', () => {
    const bug = new Error('boom')
    expect(errorText(bug, plain)).toBe('error: boom\n')
    expect(errorJson(bug)).not.toContain('.ts')
  })
})
