// Disk images by qemu-img: made, inspected, grown. Formats are always named, never guessed from a content that the guest wrote.
import { type Clock } from '../base/clock.ts'
import { asCount, asFields, asText, parseJson } from '../base/parse.ts'
import { type DiskFormat } from '../inventory/model.ts'
import { runProgram } from '../system/run-program.ts'

export interface ImageInfo {
  /** What the guest sees. */
  readonly sizeBytes: number
  /** What the file occupies. */
  readonly allocatedBytes: number
  readonly format: string
}

export interface ImageCall {
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Images are made sparse: only a storage that hangs takes this long. */
const LIMIT_MS = 60_000

/** Makes an empty image; throws where the file exists only if qemu-img does: the caller chooses a fresh name. */
export async function createImage(path: string, format: DiskFormat, sizeBytes: number, call: ImageCall): Promise<void> {
  await qemuImg(['create', '-q', '-f', format, ...CREATE_OPTIONS[format], path, String(sizeBytes)], call)
}

/** Also of an image that a guest uses now (-U: without its locks). */
export async function imageInfo(path: string, format: DiskFormat, call: ImageCall): Promise<ImageInfo> {
  const answer = await qemuImg(['info', '-U', '--output=json', '-f', format, path], call)
  const fields = asFields(parseJson(answer, 'the answer of qemu-img info'), 'the answer of qemu-img info')
  return {
    sizeBytes: asCount(fields['virtual-size'], 'virtual-size'),
    allocatedBytes: asCount(fields['actual-size'], 'actual-size'),
    format: asText(fields['format'], 'format'),
  }
}

/** Makes an image larger; qemu-img refuses to make it smaller, and to touch one that a guest uses. */
export async function growImage(path: string, format: DiskFormat, sizeBytes: number, call: ImageCall): Promise<void> {
  await qemuImg(['resize', '-q', '-f', format, path, String(sizeBytes)], call)
}

/**
 * qcow2: version 3, written in order (lazy refcounts would need a repair after each crash). The other defaults of qemu-img are fine and
 * may get better.
 */
const CREATE_OPTIONS: Readonly<Record<DiskFormat, readonly string[]>> = {
  qcow2: ['-o', 'compat=1.1,lazy_refcounts=off'],
  raw: [],
}

async function qemuImg(args: readonly string[], { clock, signal }: ImageCall): Promise<string> {
  return (await runProgram({ program: 'qemu-img', args, clock, signal, timeoutMs: LIMIT_MS })).stdout
}
