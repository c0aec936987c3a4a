// `hostmesh agent`: becomes the daemon of this host.
import { buildCommand } from '@stricli/core'
import { DEFAULT_DATA_DIR, parseAddress, socketOf } from '../connect.ts'
import type { CliContext } from '../context.ts'

interface AgentFlags {
  readonly dataDir: string
  readonly listen: string
  readonly name?: string
  readonly socket?: string
  readonly api?: string
}

export const agent = buildCommand<AgentFlags, [], CliContext>({
  docs: {
    brief: 'Run the agent of this host (systemd does this from the package)',
    fullDescription: 'Runs in the foreground until it is stopped. Guests live on without it, and the next agent adopts them.',
  },
  parameters: {
    flags: {
      dataDir: {
        kind: 'parsed',
        parse: String,
        default: DEFAULT_DATA_DIR,
        placeholder: 'DIR',
        brief: 'Where it keeps its log, identity and sockets',
      },
      listen: { kind: 'parsed', parse: ipPort, placeholder: 'IP:PORT', brief: 'Where the other hosts reach it' },
      name: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'NAME',
        brief: "Name of this host in the mesh (default: the machine's)",
      },
      socket: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'PATH',
        brief: 'Socket for commands (default: DIR/hostmesh.sock)',
      },
      api: {
        kind: 'parsed',
        parse: ipPort,
        optional: true,
        placeholder: 'IP:PORT',
        brief: 'Also take commands here, with the token in DIR/api-token',
      },
    },
  },
  async func({ dataDir, listen, name, socket, api }) {
    const where = ['--data-dir', dataDir, '--listen', listen, '--socket', socket ?? socketOf(dataDir)]
    const more = Object.entries({ '--name': name, '--api': api }).flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]))
    await this.io.becomeAgent([...where, ...more])
  },
})

function ipPort(text: string): string {
  parseAddress(text, `address ${text}`)
  return text
}
