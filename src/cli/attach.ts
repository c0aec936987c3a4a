// At an open console: keys to the guest, its output to the terminal, until either side ends it.
import { openConsole } from '../api/client-console.ts'
import type { Target } from '../api/client.ts'
import { deadline } from '../base/deadline.ts'
import { hasCode } from '../base/errors.ts'
import type { Io } from './io.ts'

/** Ctrl-], as telnet and virsh have it. */
const ESCAPE = 0x1d

/** Resolves when a person leaves it (Ctrl-]), when the console ends, or after `timeoutS`: to look for a while is no failure. */
export async function attach(io: Io, target: Target, vm: string, timeoutS: number | undefined): Promise<void> {
  const limit = timeoutS === undefined ? null : deadline(io.clock, timeoutS * 1000, `the console of VM ${vm}`)
  const over = new AbortController()
  const signal = limit === null ? over.signal : AbortSignal.any([limit.signal, over.signal])
  try {
    const console = await openConsole(target, vm, (bytes) => io.stdout.write(bytes), signal)
    if (io.stdin.isTTY) io.stderr.write(`console of VM ${vm}; Ctrl-] leaves it\r\n`)
    io.stdin.setRaw(true)
    const typing = type(io, signal, (bytes) => console.send(bytes)).then((left) => {
      if (left) console.close()
    })
    await Promise.race([console.closed, typing.then(() => console.closed)])
  } catch (error) {
    if (limit?.signal.aborted !== true || !hasCode(error, 'timeout')) throw error
  } finally {
    over.abort()
    limit?.done()
    io.stdin.setRaw(false)
    if (io.stdin.isTTY) io.stderr.write('\r\n')
  }
}

/** True when a person left; false when the input ended, as that of a script does: the output is still followed then. */
async function type(io: Io, signal: AbortSignal, send: (bytes: Uint8Array) => void): Promise<boolean> {
  for await (const bytes of io.stdin.bytes(signal)) {
    const escape = io.stdin.isTTY ? bytes.indexOf(ESCAPE) : -1
    if (escape !== 0) send(escape < 0 ? bytes : bytes.subarray(0, escape))
    if (escape >= 0) return true
  }
  return false
}
