// The command line: finds the command, runs it, sets the exit code.
import { processIo } from './cli/process-io.ts'
import { runCli } from './cli/run.ts'

process.exitCode = await runCli(
  process.argv.slice(2),
  processIo(() => import('./daemon.ts')),
)
