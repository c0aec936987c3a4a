// What goes over the warden's socket comes out as it went in, and nothing else comes out.
import { describe, expect, it } from 'vitest'
import { type VmId } from '../../src/base/ids.ts'
import { parseMessage, parseRequest, type WardenAnswer, type WardenCall, type WardenRun } from '../../src/vm/warden-protocol.ts'

const run = { vm: '0123456789abcdef' as VmId, epoch: { generation: 1, counter: 2 } }

const CALLS: readonly WardenCall[] = [
  { kind: 'hello', protocol: 1 },
  { kind: 'list' },
  { kind: 'start', ...run, argv: ['qemu', '-m', '64'], directory: '/v/runs/r' },
  { kind: 'reject', ...run, words: 'no firmware' },
  { kind: 'end', ...run, intent: 'off', words: '' },
  { kind: 'pause', ...run },
  { kind: 'resume', ...run },
  { kind: 'reset', ...run },
  { kind: 'forget', ...run },
  { kind: 'exit' },
]

const RUNS: readonly WardenRun[] = [
  { ...run, kind: 'live', pid: 42, directory: '/v/runs/r' },
  { ...run, kind: 'live', pid: null, directory: '/v/runs/r' },
  { ...run, kind: 'ended', intent: 'crash', exitCode: null, signal: 'SIGKILL', words: '' },
  { ...run, kind: 'ended', intent: 'start-failed', exitCode: 1, signal: null, words: 'no' },
]

const ANSWERS: readonly WardenAnswer[] = [
  { kind: 'ok' },
  { kind: 'hello', protocol: 1, pid: 42, version: '1.0.0', bootId: 'b' },
  { kind: 'runs', runs: RUNS },
  { kind: 'started', pid: 42 },
  { kind: 'error', code: 'conflict', message: 'no', reason: 'epoch-used' },
  { kind: 'error', code: 'failed', message: 'no', reason: null },
]

describe('the protocol', () => {
  it.each(CALLS.map((call) => [call.kind, call] as const))('carries the request %s', (_, call) => {
    expect(parseRequest(JSON.stringify({ id: 7, ...call }))).toEqual({ id: 7, ...call })
  })

  it.each(ANSWERS.map((answer) => [answer.kind, answer] as const))('carries the answer %s', (_, answer) => {
    expect(parseMessage(JSON.stringify({ id: 7, ...answer }))).toEqual({ id: 7, ...answer })
  })

  it('carries a notice, which answers nothing', () => {
    expect(parseMessage('{"kind":"changed"}')).toEqual({ kind: 'changed' })
  })

  it('drops what it does not know from what it does, so that nothing unread is passed on', () => {
    expect(parseRequest('{"id":1,"kind":"list","argv":["rm"]}')).toEqual({ id: 1, kind: 'list' })
  })

  const good = { id: 1, kind: 'end', ...run, intent: 'off', words: '' }
  it.each<[string, object]>([
    ['no id', { kind: 'list' }],
    ['an unknown kind', { id: 1, kind: 'shell' }],
    ['an id that leads out of the directory', { ...good, vm: '../../etc' }],
    ['an empty id', { ...good, vm: '' }],
    ['an id of 65 characters', { ...good, vm: 'a'.repeat(65) }],
    ['no epoch', { ...good, epoch: undefined }],
    ['a negative epoch', { ...good, epoch: { generation: 1, counter: -1 } }],
    ['an unknown intent', { ...good, intent: 'boredom' }],
    ['an argument that is no text', { id: 1, kind: 'start', ...run, argv: ['qemu', 7], directory: '/v' }],
  ])('refuses a request with %s', (_, request) => {
    expect(() => parseRequest(JSON.stringify(request))).toThrow(expect.objectContaining({ code: 'usage' }))
  })

  it.each(['', 'hello', '[]', '{"id":1,"kind":"runs","runs":[{"kind":"live"}]}', '{"id":1,"kind":"error","code":"odd","message":""}'])(
    'refuses an answer like %j',
    (line) => {
      expect(() => parseMessage(line)).toThrow(expect.objectContaining({ code: 'usage' }))
    },
  )
})
