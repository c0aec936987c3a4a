// After the story, with --keep: the hosts stay up, and a prompt cuts and restores their power and cables.
import { createInterface } from 'node:readline/promises'
import { type Machine } from '../test/lab/machine.ts'
import { HOSTMESH, type MeshHost, type MeshLab } from '../test/lab/mesh-lab.ts'
import { LabHost } from '../test/lab/lab.ts'
import { type Stage } from './stage.ts'

const HELP = `Here you can type:
  poweroff h1    poweron h1    the power of a host
  cut h1         join h1       its cable (where hosts are namespaces)
  kill h1        agent h1      kill -9 of its agent, the start of another
  end                          ends all of it (so does Ctrl-D, or Ctrl-C)`

/** Resolves when the person has had enough. */
export async function play<M extends Machine>(stage: Stage, { hosts }: MeshLab<M>): Promise<void> {
  stage.print('\nThe hosts stay up. In another shell:\n')
  for (const { name, socket } of hosts) stage.print(`  alias ${name}='HOSTMESH_SOCKET=${socket} ${HOSTMESH}'`)
  stage.print('\n  h1 status; h2 vm list; h3 vm console web      (Ctrl-] leaves the console)\n')
  stage.print(HELP)
  const prompt = (): void => void process.stdout.write('demo> ')
  // Not as a terminal: Ctrl-C stays a signal, which ends the hosts.
  const lines = createInterface({ input: process.stdin, terminal: false })
  prompt()
  for await (const line of lines) {
    const [verb = '', name] = line.trim().split(/\s+/)
    if (verb === 'end') break
    const host = hosts.find((one) => one.name === name)
    const said = host === undefined ? HELP : await obey(verb, host).catch((error: unknown) => String(error))
    if (verb !== '') stage.print(said)
    prompt()
  }
  lines.close()
}

async function obey<M extends Machine>(verb: string, host: MeshHost<M>): Promise<string> {
  switch (verb) {
    case 'poweroff':
      await host.host.poweroff()
      return `${host.name} has no power`
    case 'poweron':
      await host.powerOn()
      return `the agent of ${host.name} listens`
    case 'kill':
      await host.killAgent()
      return `the agent of ${host.name} is gone, its guests run on`
    case 'agent':
      await host.startAgent({ boot: false })
      return `the agent of ${host.name} listens`
    case 'cut':
    case 'join':
      if (!(host.host instanceof LabHost)) return 'plain processes have no cable'
      await host.host[verb]()
      return `the cable of ${host.name} is ${verb === 'cut' ? 'out' : 'in'}`
    default:
      return HELP
  }
}
