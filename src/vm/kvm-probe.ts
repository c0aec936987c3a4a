// Does KVM really work here? /dev/kvm may exist and fail: only a guest that ran a few instructions under it is an answer.
import { access, constants, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock } from '../base/clock.ts'
import { hasCode } from '../base/errors.ts'
import { asFields, asOneOf, asText, parseJson } from '../base/parse.ts'
import { readTextIfExists, writeAtomic } from '../system/files.ts'
import { runProgram } from '../system/run-program.ts'

export interface KvmProbeOptions {
  readonly qemu: string
  /** The answer is kept here for one boot of the kernel. */
  readonly file: string
  readonly bootId: string
  readonly clock: Clock
}

export type Accelerator = 'kvm' | 'tcg'

/** Under KVM the guest ends after some 100 ms; an outer hypervisor that emulates virtualisation badly hangs or takes minutes. */
const PROBE_LIMIT_MS = 10_000

/** A boot sector: 16-bit code that ends QEMU through its isa-debug-exit device with status 2 * 0x10 + 1. */
const PROBE_CODE = [
  ...[0xb0, 0x10], // mov al, 0x10
  ...[0xe6, 0xf4], // out 0xf4, al
  0xf4, // hlt
]
const PROBE_STATUS = 0x21
const SECTOR_BYTES = 512
/** The firmware counts in cylinders: it boots from no disk that is smaller than one (500 KiB). */
const DISK_BYTES = 1024 * 1024

/** `kvm` only where a probe guest ran. Throws where the answer cannot be kept; never because KVM does not work. */
export async function probeAccelerator(options: KvmProbeOptions): Promise<Accelerator> {
  const known = await remembered(options)
  if (known !== undefined) return known
  const accelerator = (await canOpen('/dev/kvm')) && (await guestRuns(options, 'kvm')) ? 'kvm' : 'tcg'
  await writeAtomic(options.file, `${JSON.stringify({ bootId: options.bootId, accelerator })}\n`)
  return accelerator
}

/** Boots the probe guest. The test of this file runs it under TCG, where there is no KVM. */
export async function guestRuns(options: Omit<KvmProbeOptions, 'file' | 'bootId'>, accelerator: Accelerator): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'hostmesh-probe-'))
  try {
    const image = join(folder, 'probe.img')
    await writeFile(image, bootDisk())
    const disk = { driver: 'raw', 'node-name': 'probe', 'read-only': true, file: { driver: 'file', filename: image } }
    const args = [
      ...['-no-user-config', '-nodefaults', '-display', 'none', '-machine', 'q35', '-accel', accelerator, '-m', '16M'],
      ...['-blockdev', JSON.stringify(disk), '-device', 'virtio-blk-pci,drive=probe', '-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
    ]
    await runProgram({ program: options.qemu, args, clock: options.clock, timeoutMs: PROBE_LIMIT_MS })
    return false
  } catch (error) {
    if (!hasCode(error, 'failed', 'timeout')) throw error
    return error.data['status'] === PROBE_STATUS
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function bootDisk(): Uint8Array {
  const disk = new Uint8Array(DISK_BYTES)
  disk.set(PROBE_CODE)
  // What the firmware looks for.
  disk.set([0x55, 0xaa], SECTOR_BYTES - 2)
  return disk
}

/** Undefined when nothing is kept of this boot, or not in a form that this version writes. */
async function remembered({ file, bootId }: KvmProbeOptions): Promise<Accelerator | undefined> {
  const text = await readTextIfExists(file)
  if (text === undefined) return undefined
  try {
    const fields = asFields(parseJson(text, file), file)
    return asText(fields['bootId'], 'bootId') === bootId
      ? asOneOf(fields['accelerator'], ['kvm', 'tcg'] as const, 'accelerator')
      : undefined
  } catch (error) {
    if (hasCode(error, 'usage')) return undefined
    throw error
  }
}

async function canOpen(path: string): Promise<boolean> {
  return access(path, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
}
