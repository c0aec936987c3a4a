// Three hosts on this machine, a virtual machine, a power cut: a story to watch, and with --auto a check that it comes true.
import { parseArgs } from 'node:util'
import { labUnavailable, startLab } from '../test/lab/lab.ts'
import { startLoopbackLab } from '../test/lab/loopback-lab.ts'
import { type Machine, type Machines } from '../test/lab/machine.ts'
import { meshLab } from '../test/lab/mesh-lab.ts'
import { play } from './play.ts'
import { Stage } from './stage.ts'
import { tellStory } from './story.ts'

const USAGE = `usage: ./dev demo [--auto | --keep]

  --auto   for scripts: no questions, exit code 0 when every claim of the story came true, else 1
  --keep   leaves the three hosts up after the story, to play with
`

interface Options {
  readonly auto: boolean
  readonly keep: boolean
}

async function main(): Promise<number> {
  const options = readOptions()
  if (options === undefined) return 2
  const reason = labUnavailable()
  if (reason === undefined) return perform(await startLab(3), 'each a network namespace of its own', { ...options, silent: true })
  return perform(startLoopbackLab(3), `plain processes, because ${reason}`, { ...options, silent: false })
}

/** `silent`: whether a host can lose its power without a word to its peers. */
async function perform<M extends Machine>(lab: Machines<M>, how: string, options: Options & { readonly silent: boolean }): Promise<number> {
  const stage = new Stage()
  const end = endOnSignal(lab)
  let code = 1
  try {
    stage.print(`hostmesh demo: three hosts on this machine, ${how}`)
    stage.print(`${lab.hosts.map(({ name, address }) => `${name} ${address}`).join(', ')}; everything they hold is in ${lab.folder}`)
    const mesh = await meshLab(lab)
    await tellStory(stage, mesh, options.silent)
    stage.print('\nAll of it came true. Everything above was done by commands that you can type yourself.')
    if (options.keep) await play(stage, mesh)
    code = 0
  } catch (error) {
    stage.failed(error)
    stage.print(`\nThe logs of the agents: ${lab.folder}/h*/agent.log (and data/vms/ for guests and warden)`)
  } finally {
    end.dispose()
    await lab.stop({ keepFolder: code !== 0 })
  }
  return code
}

function readOptions(): Options | undefined {
  try {
    const { values } = parseArgs({ options: { auto: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } } })
    if (!(values.auto && values.keep)) return values
  } catch {
    // The usage says it.
  }
  process.stderr.write(USAGE)
  return undefined
}

/** Ctrl-C ends the hosts first. */
function endOnSignal<M extends Machine>(lab: Machines<M>): { dispose(): void } {
  const onSignal = (signal: NodeJS.Signals): void => {
    dispose()
    process.stdout.write(`\n${signal}: ending the hosts; their logs stay in ${lab.folder}\n`)
    const exit = (): never => process.exit(signal === 'SIGINT' ? 130 : 143)
    lab.stop({ keepFolder: true }).then(exit, exit)
  }
  const dispose = (): void => {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return { dispose }
}

process.exitCode = await main()
