// Command records as bytes: every command comes back as it went, and nothing that is not exactly one is read.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { COMMAND_VERSION, type Command } from '../../src/inventory/command.ts'
import { decodeRecord, encodeRecord } from '../../src/inventory/record.ts'
import { UnknownCommand } from '../../src/inventory/unknown-command.ts'
import { aRecord, datastoreId, diskId, hostId, jobId, requestKey, someVm, vmId } from '../fixture/inventory.ts'
import { history, KINDS, randomSteps } from './random-commands.ts'

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
/** A record whose command has these fields, right or wrong. */
const raw = (command: unknown, changes: object = {}) => bytes({ ...aRecord(someVm('web')), command, ...changes })

describe('every command', () => {
  it('comes back as it went', () => {
    const seen = new Set<string>()
    for (const steps of fc.sample(randomSteps, { numRuns: 100, seed: 7 })) {
      for (const { record } of history(steps)) {
        expect(decodeRecord(encodeRecord(record))).toEqual(record)
        seen.add(record.command.kind)
      }
    }
    expect(KINDS.filter((kind) => !seen.has(kind))).toEqual([])
  })

  const EVERY_FIELD: readonly Command[] = [
    { kind: 'host-set', host: hostId('h1'), name: 'a', labels: { x: 'y', z: null } },
    {
      kind: 'vm-set',
      vm: vmId('web'),
      name: 'a',
      vcpus: 1,
      memoryMiB: 16,
      cpu: 'max',
      boot: null,
      cdrom: null,
      ha: 'restart',
      priority: 3,
      drs: 'off',
    },
    someVm('web', {
      disks: [
        { kind: 'existing', disk: diskId('a') },
        { kind: 'new', id: diskId('b'), name: 'b', datastore: datastoreId('s'), format: 'raw', sizeBytes: 512 },
      ],
      cdrom: 'iso/x',
      boot: { kernel: 'k/v', initrd: 'k/i', append: 'quiet' },
      startJob: jobId('j'),
      firmware: 'uefi',
    }),
    {
      kind: 'vm-stopped',
      host: hostId('h1'),
      vm: vmId('web'),
      epoch: { generation: 2, counter: 7 },
      intent: 'crash',
      reasons: [{ code: 'c', message: 'm', fix: 'f' }],
    },
    { kind: 'config-set', key: 'x', value: true },
    { kind: 'config-set', key: 'x', value: 1.5 },
    { kind: 'config-set', key: 'x', value: 'text' },
  ]
  it.each(EVERY_FIELD)('$kind with every field', (command) => {
    const record = aRecord(command, { reason: 'because', requestKey: requestKey('k') })
    expect(decodeRecord(encodeRecord(record))).toEqual(record)
  })
})

describe('what this program does not know', () => {
  it('is an UnknownCommand: a kind', () => {
    expect(() => decodeRecord(raw({ kind: 'vm-teleport' }))).toThrow(UnknownCommand)
    expect(() => decodeRecord(raw({ kind: 'constructor' }))).toThrow(UnknownCommand)
  })

  it('is an UnknownCommand: a newer version, of whatever shape', () => {
    expect(() => decodeRecord(bytes({ version: COMMAND_VERSION + 1, anything: 'else' }))).toThrow(UnknownCommand)
  })

  it('is told to a person as a refusal that says what to do', () => {
    const error = new UnknownCommand('command "vm-teleport"')
    expect(error).toMatchObject({ code: 'refused', message: expect.stringContaining('upgrade this host') })
  })
})

describe('what is no record', () => {
  it.each([
    ['no UTF-8', Uint8Array.of(0xff, 0xfe)],
    ['no JSON', new TextEncoder().encode('{"version":1')],
    ['a list', bytes([])],
    ['nothing', bytes(null)],
    ['version 0', raw({ kind: 'job-cancel', job: 'j' }, { version: 0 })],
    ['no version', raw({ kind: 'job-cancel', job: 'j' }, { version: undefined })],
    ['no time', raw({ kind: 'job-cancel', job: 'j' }, { at: 'now' })],
    ['a time before all time', raw({ kind: 'job-cancel', job: 'j' }, { at: -1 })],
    ['no command', raw(undefined)],
    ['a kind that is no text', raw({ kind: 5 })],
    ['a field too few', raw({ kind: 'job-cancel' })],
    ['a field too many', raw({ kind: 'job-cancel', job: 'j', force: true })],
    ['a field of another type', raw({ kind: 'job-cancel', job: 5 })],
    ['a fraction', raw({ ...someVm('web'), vcpus: 1.5 })],
    ['a negative size', raw({ ...someVm('web'), memoryMiB: -1 })],
    ['an unknown disk wish', raw({ ...someVm('web'), disks: [{ kind: 'borrowed', disk: 'd' }] })],
    ['a priority of 4', raw({ ...someVm('web'), priority: 4 })],
    ['an id without end', raw({ kind: 'job-cancel', job: 'j'.repeat(129) })],
    ['a list without end', raw({ ...someVm('web'), disks: Array.from({ length: 257 }, () => ({ kind: 'existing', disk: 'd' })) })],
    ['an optional field that is null', raw({ kind: 'vm-set', vm: 'web', name: null })],
    ['percent over 100', raw({ kind: 'job-progress', host: 'h', job: 'j', step: '', percent: 101 })],
  ])('%s is a usage error, and never an unknown command', (_what, encoded) => {
    const error = thrown(() => decodeRecord(encoded))
    expect(error).toBeInstanceOf(OperationError)
    expect(error).not.toBeInstanceOf(UnknownCommand)
    expect(error).toMatchObject({ code: 'usage' })
  })

  it('is named by its path', () => {
    expect(() => decodeRecord(raw({ ...someVm('web'), disks: [{ kind: 'existing' }] }))).toThrow(
      /record\.command\.disks\[0\]\.disk must be a text/,
    )
  })

  it('whatever it is, throws one of these two errors', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.jsonValue().map(bytes),
          fc.jsonValue().map((value) => raw(value)),
        ),
        (encoded) => {
          const error = thrown(() => decodeRecord(encoded))
          return error === null || error instanceof OperationError
        },
      ),
    )
  })
})

function thrown(run: () => unknown): unknown {
  try {
    run()
    return null
  } catch (error) {
    return error
  }
}
