// `hostmesh mesh backup` and `hostmesh mesh restore`: the agreed state in a file, and a mesh made of it.
import { link, open, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { buildCommand } from '@stricli/core'
import { errorOf } from '../../api/client.ts'
import type { BackupMessage, RestoreAnswer } from '../../api/types.ts'
import { deadline, within } from '../../base/deadline.ts'
import { OperationError } from '../../base/errors.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags } from '../flags.ts'
import { clientFor, printJson } from '../show.ts'
import { list } from '../table.ts'

/** A large mesh has some 100 MB of rows. */
const TIMEOUT_S = 300
/** It holds names, addresses and public keys of the whole mesh. */
const PRIVATE_FILE = 0o600

interface BackupFlags extends CommonFlags {
  readonly stale: boolean
}

export const backup = buildCommand<BackupFlags, [string], CliContext>({
  docs: {
    brief: 'Write what the mesh agreed on to a file',
    fullDescription: 'Inventory, settings, events and public keys, as of one moment; no disks, and no keys of hosts. Any host can make it.',
  },
  parameters: {
    flags: {
      ...commonFlags,
      stale: { kind: 'boolean', default: false, withNegated: false, brief: 'Without a quorum: what this host knows' },
    },
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [{ parse: String, placeholder: 'FILE', brief: 'A new file' }] },
  },
  async func(flags, file) {
    const limit = deadline(this.io.clock, (flags.timeout ?? TIMEOUT_S) * 1000, 'to back the mesh up')
    try {
      const query = flags.stale ? { stale: '1' as const } : {}
      const written = await writeFile(file, clientFor(this, flags).follow('backup', { query }, { signal: limit.signal }))
      if (flags.output === 'json') printJson(this, { file: resolve(file), ...written })
      else this.io.stdout.write(`${file} holds the mesh as of entry ${written.index}: ${written.rows} rows, ${written.bytes} bytes\n`)
    } finally {
      limit.done()
    }
  },
})

interface Written {
  readonly index: number
  readonly rows: number
  readonly bytes: number
}

/** Beside its place first: FILE is a whole backup or is not there. What an earlier try left behind is removed, not written into: others may have it open. */
async function writeFile(file: string, messages: AsyncIterable<BackupMessage>): Promise<Written> {
  const scratch = `${file}.part`
  if (await exists(file)) throw new OperationError('conflict', `${file} exists already, and is not written over: name a new file`)
  await rm(scratch, { force: true }).catch((cause: unknown) => cannotWrite(file, cause))
  const handle = await open(scratch, 'wx', PRIVATE_FILE).catch((cause: unknown) => cannotWrite(file, cause))
  try {
    let lines = 0
    let bytes = 0
    for await (const message of messages) {
      if (message.kind === 'failed') throw errorOf(message.error, 0)
      if (message.kind === 'done') {
        await handle.sync()
        // Not a rename: that would write over a file that came meanwhile.
        await link(scratch, file).catch((cause: unknown) => cannotWrite(file, cause))
        await syncDirectory(dirname(file))
        // Without the head and the end.
        return { index: message.index, rows: lines - 2, bytes }
      }
      const text = message.lines.map((line) => `${line}\n`).join('')
      await handle.write(text)
      lines += message.lines.length
      bytes += Buffer.byteLength(text)
    }
    throw new OperationError('unreachable', 'the agent ended before the backup was whole: nothing was kept')
  } finally {
    await handle.close()
    await rm(scratch, { force: true })
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await (await open(file, 'r')).close()
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw new OperationError('failed', `${file} cannot be used: ${String(error)}`, { cause: error })
  }
}

function cannotWrite(file: string, cause: unknown): never {
  throw new OperationError('failed', `${file} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

interface RestoreFlags extends CommonFlags {
  readonly dryRun: boolean
}

export const restore = buildCommand<RestoreFlags, [string], CliContext>({
  docs: {
    brief: 'Make the mesh of a backup, with this host as its only voter',
    fullDescription:
      'On a host whose agent belongs to no mesh, or whose stores need repair with no other host to come back through. While any host still has its data, mesh recover keeps more.',
  },
  parameters: {
    flags: {
      ...commonFlags,
      dryRun: { kind: 'boolean', default: false, withNegated: false, brief: 'Check the file and print what it holds; change nothing' },
    },
    aliases: commonAliases,
    positional: {
      kind: 'tuple',
      parameters: [{ parse: String, placeholder: 'FILE', brief: 'As mesh backup wrote it, on the host of the agent' }],
    },
  },
  async func(flags, file) {
    const ms = (flags.timeout ?? TIMEOUT_S) * 1000
    const { answer, json } = await within({ clock: this.io.clock, ms, what: 'restoring the mesh' }, (signal) =>
      clientFor(this, flags).call('restore', { body: { path: resolve(file), dryRun: flags.dryRun } }, { signal }),
    )
    if (flags.output === 'json') printJson(this, json)
    else this.io.stdout.write(restoreText(answer))
  },
})

function restoreText(answer: RestoreAnswer): string {
  const { mesh, generation, madeAt, madeBy, stale, index, hosts, vms, tokens, damaged, dryRun } = answer
  const held = list([
    ['mesh', `${mesh.name} (${mesh.id}), generation ${generation.from}, entry ${index}`],
    ['made', `${madeAt} on ${madeBy}${stale ? ', without a quorum: later changes may be missing' : ''}`],
    ['hosts', hosts.map(({ name, addresses }) => `${name} (${addresses.join(', ')})`).join(', ')],
    ['VMs', vms.length === 0 ? 'none' : vms.join(', ')],
    ['tokens', tokens === 0 ? 'none' : `${tokens}, which open nothing any more`],
    ...(damaged === null
      ? []
      : [['damaged', `the stores of this host (${damaged}): set aside in damaged/ of its data directory`] as const]),
  ])
  if (dryRun) return `${held}nothing was changed (--dry-run)\n`
  return (
    `${held}\nmesh ${mesh.name} goes on in generation ${generation.to}, with this host as its only voter\n` +
    'VMs of this host, and those that waited for one, are off: make sure that they run nowhere before you start them\n' +
    'hosts of the backup that still have their data come in again with: hostmesh join TOKEN (a new one: hostmesh token create)\n'
  )
}
