// Shapes of the words that commands and rows share. Limits are far above what validate.ts lets through: they bound what a forged record can hold.
import { type Reason } from '../base/errors.ts'
import { asFlag } from '../base/parse.ts'
import { anything, list, literal, nullable, object, optional, record, text, whole } from '../base/shape.ts'
import { type DirectBoot, type Epoch, type HostFacts, type HostRole, type StopIntent, type VmStatus } from './model.ts'

/** Ids, names, codes. */
export const word = text(256)
/** Sentences, paths, command lines. */
export const sentence = text(8_192)
/** Milliseconds since 1970. */
export const moment = whole(0)
export const count = whole(0)
export const bytes = whole(0)
export const flag = asFlag
export const data = record(anything)

export const reason = object<Reason>({ code: word, message: sentence, fix: optional(sentence) })
/** One a host and check: 64 hosts with a dozen reasons each, with room. */
export const reasons = list(reason, 4_096)

export const epoch = object<Epoch>({ generation: count, counter: count })

export const hostRole = literal<HostRole>('host', 'witness')
export const addresses = list(word, 64)
export const hostFacts = object<HostFacts>({
  cpu: object<HostFacts['cpu']>({ cores: whole(1), mhz: whole(0), model: word, flags: list(word, 1_024) }),
  memoryMiB: count,
  version: word,
  commandVersion: count,
  machineTypes: list(word, 1_024),
  qemuVersion: nullable(word),
  accelerator: literal('kvm', 'tcg'),
})

export const diskFormat = literal('qcow2', 'raw')
export const alarm = literal('peer-refused', 'identity-cloned')
export const renewalCause = literal('recovered', 'restored')
export const directBoot = object<DirectBoot>({ kernel: sentence, initrd: nullable(sentence), append: sentence })
export const firmware = literal('bios', 'uefi')
export const haPolicy = literal('restart', 'off')
export const priority = literal(1, 2, 3)
export const drsPolicy = literal('auto', 'manual', 'off')
export const vmStatus = literal<VmStatus>('starting', 'running', 'paused', 'io-error', 'shutting-down', 'powered-off')
export const stopIntent = literal<StopIntent>('off', 'crash', 'start-failed', 'host-down')

/** What a setting may be. */
export function settingValue(value: unknown, what: string): string | number | boolean {
  return typeof value === 'number' || typeof value === 'boolean' ? value : sentence(value, what)
}
