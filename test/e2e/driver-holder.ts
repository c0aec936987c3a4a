// An agent with a driver and nothing else, to be killed from outside: starts the run that SPEC describes, says so, and waits for its end.
// Run as: node driver-holder.ts DIRECTORY SPEC, the spec in JSON.
import { type StartSpec } from '../../src/vm/driver.ts'
import { openDriver } from './open-driver.ts'

/** Printed once the guest runs and its console is open. */
export const HOLDER_READY = 'started'

if (import.meta.main) {
  const [directory = '', spec = ''] = process.argv.slice(2)
  // Written by the test that runs this program.
  const wanted: StartSpec = JSON.parse(spec)
  const driver = await openDriver(directory)
  await driver.start(wanted, new AbortController().signal)
  const stream = await driver.openConsole(wanted)
  stream.onData(() => {})
  process.stdout.write(`${HOLDER_READY}\n`)
}
