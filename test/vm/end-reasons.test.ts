// Why a run ended, as people read it.
import { describe, expect, it } from 'vitest'
import { type VmId } from '../../src/base/ids.ts'
import { type StopIntent } from '../../src/inventory/model.ts'
import { endReasons } from '../../src/vm/end-reasons.ts'
import { type WardenRun } from '../../src/vm/warden-protocol.ts'

function ended(intent: StopIntent, words: string, exit: { exitCode?: number; signal?: string } = {}): WardenRun & { kind: 'ended' } {
  const { exitCode = null, signal = null } = exit
  return { kind: 'ended', vm: 'web' as VmId, epoch: { generation: 1, counter: 1 }, intent, words, exitCode, signal }
}

const STAMP = '2026-11-25T01:18:59.046857Z '

describe('the reasons of an end', () => {
  it('that was wanted are none', () => {
    expect(endReasons(ended('off', `${STAMP}qemu-system-x86_64: terminating on signal 15`, { exitCode: 0 }))).toEqual([])
  })

  it("of a start that failed are QEMU's last words, without its stamps", () => {
    const words = `${STAMP}qemu-system-x86_64: warning: old\n${STAMP}qemu-system-x86_64: -cpu z9: unable to find CPU model 'z9'\n`
    expect(endReasons(ended('start-failed', words, { exitCode: 1 }))).toEqual([
      { code: 'start-failed', message: "warning: old; -cpu z9: unable to find CPU model 'z9'" },
    ])
  })

  it('of a start that failed without a word are how the process ended', () => {
    expect(endReasons(ended('start-failed', '', { exitCode: 127 }))).toEqual([
      { code: 'start-failed', message: 'QEMU ended with status 127' },
    ])
  })

  it.each(['Failed to get "write" lock', 'Failed to get shared "write" lock', 'Failed to get "consistent read" lock'])(
    'of a start that an image lock refused (%s) say that it has to wait',
    (text) => {
      const words = `${STAMP}qemu-system-x86_64: -blockdev {}: ${text}\nIs another process using the image [/d/web.qcow2]?`
      expect(endReasons(ended('start-failed', words, { exitCode: 1 }))).toEqual([
        { code: 'image-locked', message: expect.stringContaining('[/d/web.qcow2]'), fix: expect.stringContaining('wait') },
      ])
    },
  )

  it('of a crash are the signal or the status, and the last words', () => {
    expect(endReasons(ended('crash', '', { signal: 'SIGSEGV' }))).toEqual([{ code: 'crash', message: 'QEMU was ended by SIGSEGV' }])
    expect(endReasons(ended('crash', 'Assertion failed', { signal: 'SIGABRT' }))).toEqual([
      { code: 'crash', message: 'QEMU was ended by SIGABRT: Assertion failed' },
    ])
    expect(endReasons(ended('crash', 'the guest panicked', { exitCode: 0 }))).toEqual([{ code: 'crash', message: 'the guest panicked' }])
    expect(endReasons(ended('crash', '', { exitCode: 0 }))).toEqual([{ code: 'crash', message: 'QEMU was ended from outside' }])
  })

  it("of the host's failure are what failed", () => {
    expect(endReasons(ended('host-down', 'the host was started anew'))).toEqual([
      { code: 'host-down', message: 'the host was started anew' },
    ])
  })
})
