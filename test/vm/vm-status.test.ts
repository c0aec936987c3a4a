// Every run state that QEMU has means something to a VM, and a crashed guest is never taken for a paused one.
import { describe, expect, it } from 'vitest'
import { runVerdict, STATUS_EVENTS } from '../../src/vm/vm-status.ts'

const alive = (status: string): object => ({ kind: 'alive', status })

describe('the run state', () => {
  it.each([
    ['running', 'running'],
    ['suspended', 'running'],
    ['paused', 'paused'],
    ['prelaunch', 'paused'],
    ['io-error', 'io-error'],
    ['shutdown', 'powered-off'],
    ['inmigrate', 'paused'],
    ['postmigrate', 'paused'],
    ['finish-migrate', 'paused'],
    ['watchdog', 'paused'],
    ['a state of a later QEMU', 'paused'],
  ])('%s is %s', (runState, status) => {
    expect(runVerdict(runState, { shutdownAsked: false })).toEqual(alive(status))
  })

  it('of a guest that was asked to shut down matters only while it runs', () => {
    expect(runVerdict('running', { shutdownAsked: true })).toEqual(alive('shutting-down'))
    expect(runVerdict('paused', { shutdownAsked: true })).toEqual(alive('paused'))
    expect(runVerdict('io-error', { shutdownAsked: true })).toEqual(alive('io-error'))
    expect(runVerdict('shutdown', { shutdownAsked: true })).toEqual(alive('powered-off'))
  })

  it.each(['guest-panicked', 'internal-error'])('%s is a crash', (runState) => {
    expect(runVerdict(runState, { shutdownAsked: false })).toEqual({ kind: 'crashed', words: expect.stringMatching(/guest/) })
    expect(runVerdict(runState, { shutdownAsked: true })).toMatchObject({ kind: 'crashed' })
  })

  it('is asked for again after every event that may change it, and after no other', () => {
    for (const name of ['STOP', 'RESUME', 'SHUTDOWN', 'RESET', 'GUEST_PANICKED', 'BLOCK_IO_ERROR', 'SUSPEND', 'WAKEUP']) {
      expect(STATUS_EVENTS).toContain(name)
    }
    expect(STATUS_EVENTS).not.toContain('RTC_CHANGE')
  })
})
