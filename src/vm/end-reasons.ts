// Why a run ended, in words that people can act on: from the warden's record to reasons. Pure.
import { type Reason } from '../base/errors.ts'
import { lastLines } from '../system/run-program.ts'
import { type WardenRun } from './warden-protocol.ts'

/** Empty for an end that was wanted. */
export function endReasons(run: WardenRun & { kind: 'ended' }): readonly Reason[] {
  const words = lastLines(withoutStamps(run.words))
  switch (run.intent) {
    case 'off':
      return []
    case 'host-down':
      return [{ code: 'host-down', message: words }]
    case 'crash':
      return [{ code: 'crash', message: crashed(run, words) }]
    case 'start-failed':
      return [startFailed(words, howEnded(run))]
  }
}

/** Status 0: QEMU quit as it was told to, the words say why; or something outside of hostmesh told it. */
function crashed(run: WardenRun & { kind: 'ended' }, words: string): string {
  if (run.exitCode === 0) return words === '' ? 'QEMU was ended from outside' : words
  return [howEnded(run), words].filter((text) => text !== '').join(': ')
}

function startFailed(words: string, how: string): Reason {
  // QEMU has no code for it; the text is the same since 2.10 (util/osdep.c, block/file-posix.c).
  if (/Failed to get (shared )?"(write|consistent read|resize)" lock/.test(words)) {
    return {
      code: 'image-locked',
      message: words,
      fix: 'another process uses the image: wait until the VM that ran there is gone, or end that process',
    }
  }
  return { code: 'start-failed', message: words === '' ? how : words }
}

function howEnded(run: WardenRun & { kind: 'ended' }): string {
  if (run.signal !== null) return `QEMU was ended by ${run.signal}`
  return run.exitCode === null ? '' : `QEMU ended with status ${run.exitCode}`
}

/** With -msg timestamp=on every line of QEMU begins with the time, and with the program's name. */
function withoutStamps(text: string): string {
  return text.replaceAll(/^\d{4}-\d\d-\d\dT[\d:.]+Z (\S*qemu-system-\S+: )?/gm, '')
}
