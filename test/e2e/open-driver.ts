// The driver of a test's agent on real QEMU under emulation.
import { join } from 'node:path'
import { realClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { realRandom } from '../../src/base/random.ts'
import { type Driver } from '../../src/vm/driver.ts'
import { QEMU } from '../../src/vm/qemu-facts.ts'
import { openQemuDriver } from '../../src/vm/qemu-driver.ts'

// One for all wardens of all tests: each of them would compile for itself.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '../../.tools/compile-cache')

export const DRIVER_VERSION = '1.0.0'

/** `directory`: the test's own; the driver keeps to the folder `vm` in it. */
export function openDriver(directory: string, version = DRIVER_VERSION): Promise<Driver> {
  return openQemuDriver({
    directory: join(directory, 'vm'),
    qemu: QEMU,
    accelerator: 'tcg',
    version,
    clock: realClock,
    random: realRandom,
    log: silentLog,
  })
}
