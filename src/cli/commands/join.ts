// `hostmesh init` and `hostmesh join`: how a host becomes part of a mesh.
import { buildCommand } from '@stricli/core'
import { callOnce } from '../../api/client-retry.ts'
import { deadline, within } from '../../base/deadline.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags } from '../flags.ts'
import { startProgress } from '../progress.ts'
import { clientFor, printJson } from '../show.ts'
import { lastStep } from '../steps.ts'

/** An init takes less than a second; a slow disk may need more. */
const INIT_TIMEOUT_S = 30
/** A join takes less than five seconds; a snapshot for a large mesh may need more. */
const JOIN_TIMEOUT_S = 60

interface InitFlags extends CommonFlags {
  readonly name: string
}

export const init = buildCommand<InitFlags, [], CliContext>({
  docs: { brief: 'Begin a mesh with this host, and print the command that lets others join' },
  parameters: {
    flags: { ...commonFlags, name: { kind: 'parsed', parse: String, placeholder: 'MESH', brief: 'Name of the mesh' } },
    aliases: commonAliases,
  },
  async func(flags) {
    const { io } = this
    const client = clientFor(this, flags)
    const ms = (flags.timeout ?? INIT_TIMEOUT_S) * 1000
    await within({ clock: io.clock, ms, what: `to begin mesh ${flags.name}` }, async (signal) => {
      const { answer } = await client.call('init', { body: { name: flags.name } }, { signal })
      const token = await callOnce(client, 'tokenCreate', { body: {}, query: {} }, { clock: io.clock, random: io.random, signal })
      const secret = token.answer.secret ?? ''
      const join = { command: `hostmesh join ${secret}`, token: secret }
      if (flags.output === 'json') printJson(this, { ...answer, join })
      else
        io.stdout.write(
          `mesh ${answer.mesh.name} begins with host ${answer.host.name}\n\non each other host, with its agent running:\n  ${join.command}\n`,
        )
    })
  },
})

interface JoinFlags extends CommonFlags {
  readonly role?: 'host' | 'witness'
}

export const join = buildCommand<JoinFlags, [string], CliContext>({
  docs: {
    brief: 'Join a mesh with its token',
    fullDescription: 'May be run again: a join that was cut short goes on, a finished one says so. VMs that run on this host run on.',
  },
  parameters: {
    flags: {
      ...commonFlags,
      role: {
        kind: 'enum',
        values: ['host', 'witness'],
        optional: true,
        brief: 'A witness votes and runs no VMs (default: what the token says)',
      },
    },
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [{ parse: String, placeholder: 'TOKEN', brief: 'As init or token create printed it' }] },
  },
  async func(flags, token) {
    const { io } = this
    const limit = deadline(io.clock, (flags.timeout ?? JOIN_TIMEOUT_S) * 1000, 'to join the mesh')
    const progress = startProgress(io.stderr, io.clock, 'join')
    try {
      const body = flags.role === undefined ? { token } : { token, role: flags.role }
      const messages = clientFor(this, flags).follow('join', { body }, { signal: limit.signal })
      const end = await lastStep(messages, progress, {
        code: 'join-unknown',
        message: 'a join may be run again',
        fix: 'hostmesh join TOKEN',
      })
      progress.end()
      if (flags.output === 'json') printJson(this, { mesh: end.mesh, host: end.host })
      else io.stdout.write(`host ${end.host.name} is a member of mesh ${end.mesh.name}\n`)
    } finally {
      progress.end()
      limit.done()
    }
  },
})
