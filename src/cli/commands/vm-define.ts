// `hostmesh vm create` and `vm set`: what a VM is.
import { buildCommand, type FlagParametersForType } from '@stricli/core'
import type { ApiClient } from '../../api/client.ts'
import type { RetryOptions } from '../../api/client-retry.ts'
import type { Body } from '../../api/contract.ts'
import type { WriteAnswer } from '../../api/types.ts'
import { OperationError } from '../../base/errors.ts'
import { parseMemoryMiB } from '../../base/units.ts'
import { change, writeQuery } from '../change.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, parseCount, type WriteFlags, writeFlags } from '../flags.ts'
import { objectName } from '../names.ts'
import { ask } from '../show.ts'
import { bootOf, changedBoot, parseDisk } from '../vm-words.ts'
import { watch } from '../wait.ts'

/** What both verbs can say of a VM. */
interface SpecFlags extends WriteFlags {
  readonly cpu?: string
  readonly cdrom?: string
  readonly kernel?: string
  readonly initrd?: string
  readonly append?: string
  readonly ha?: 'restart' | 'off'
  readonly priority?: '1' | '2' | '3'
  readonly drs?: 'auto' | 'manual' | 'off'
}

const specFlags: FlagParametersForType<SpecFlags, CliContext> = {
  ...writeFlags,
  cpu: {
    kind: 'parsed',
    parse: String,
    optional: true,
    placeholder: 'MODEL',
    brief: 'A CPU model of QEMU, mesh-baseline (default) or host',
  },
  cdrom: {
    kind: 'parsed',
    parse: String,
    optional: true,
    placeholder: 'DATASTORE/ISO',
    brief: 'The disc in its drive; none takes it out',
  },
  kernel: { kind: 'parsed', parse: String, optional: true, placeholder: 'DATASTORE/FILE', brief: 'Boot this kernel directly' },
  initrd: { kind: 'parsed', parse: String, optional: true, placeholder: 'DATASTORE/FILE', brief: 'Its initial RAM disk' },
  append: { kind: 'parsed', parse: String, optional: true, placeholder: 'TEXT', brief: 'Its command line' },
  ha: { kind: 'enum', values: ['restart', 'off'], optional: true, brief: 'Whether it is restarted elsewhere when its host dies' },
  priority: { kind: 'enum', values: ['1', '2', '3'], optional: true, brief: 'Order of restarts, 1 first' },
  drs: { kind: 'enum', values: ['auto', 'manual', 'off'], optional: true, brief: 'Whether it may be moved to balance the load' },
}

interface CreateFlags extends SpecFlags {
  readonly vcpus: number
  readonly memory: number
  readonly firmware?: 'bios' | 'uefi'
  readonly disk?: readonly ReturnType<typeof parseDisk>[]
  readonly start: boolean
}

export const create = buildCommand<CreateFlags, [string], CliContext>({
  docs: { brief: 'Create a VM' },
  parameters: {
    flags: {
      ...specFlags,
      vcpus: { kind: 'parsed', parse: parseCount, placeholder: 'N', brief: 'Virtual CPUs' },
      memory: { kind: 'parsed', parse: parseMemoryMiB, placeholder: 'MiB', brief: 'Memory in MiB, or with a unit: 2G' },
      firmware: { kind: 'enum', values: ['bios', 'uefi'], optional: true, brief: 'What starts it (default: bios)' },
      disk: {
        kind: 'parsed',
        parse: parseDisk,
        variadic: true,
        optional: true,
        placeholder: 'DATASTORE/NAME[:SIZE]',
        brief: 'A disk, in boot order; with a size a new one, [,format=qcow2|raw]',
      },
      start: { kind: 'boolean', default: false, withNegated: false, brief: 'Start it at once' },
    },
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [{ parse: String, placeholder: 'NAME', brief: 'Its name: a-z, 0-9 and -' }] },
  },
  func(flags, name) {
    return change(this, flags, {
      route: 'vmCreate',
      input: { query: writeQuery(flags), body: createBody(name, flags) },
      title: `create VM ${name}`,
      done: () => (flags.start ? `VM ${name} is running` : `VM ${name} is created; start it with hostmesh vm start ${name}`),
      settle: waitForDisks,
    })
  },
})

interface SetFlags extends SpecFlags {
  readonly name?: string
  readonly vcpus?: number
  readonly memory?: number
}

export const set = buildCommand<SetFlags, [string], CliContext>({
  docs: { brief: 'Change a VM; what the machine is made of only while it is off' },
  parameters: {
    flags: {
      ...specFlags,
      name: { kind: 'parsed', parse: String, optional: true, placeholder: 'NAME', brief: 'Its new name' },
      vcpus: { kind: 'parsed', parse: parseCount, optional: true, placeholder: 'N', brief: 'Virtual CPUs' },
      memory: { kind: 'parsed', parse: parseMemoryMiB, optional: true, placeholder: 'MiB', brief: 'Memory in MiB, or with a unit: 2G' },
    },
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [objectName('vm', 'NAME', 'Name, id or beginning of the id')] },
  },
  async func(flags, vm) {
    const { kernel, initrd, append } = flags
    const boots = kernel !== undefined || initrd !== undefined || append !== undefined
    // What is not named of a direct boot stays: that needs a look at what it is.
    const before = boots ? (await ask(this, flags, { route: 'vmShow', input: { params: { vm } } })).answer.boot : null
    const body = { ...setBody(flags), ...(boots ? { boot: changedBoot(before, flags) } : {}) }
    await change(this, flags, {
      route: 'vmSet',
      input: { params: { vm }, query: writeQuery(flags), body },
      title: `change VM ${vm}`,
      done: () => `VM ${vm} is changed`,
    })
  },
})

function createBody(name: string, flags: CreateFlags): Body<'vmCreate'> {
  const boot = bootOf(flags)
  return {
    name,
    vcpus: flags.vcpus,
    memoryMiB: flags.memory,
    ...(flags.firmware === undefined ? {} : { firmware: flags.firmware }),
    ...(flags.disk === undefined || flags.disk.length === 0 ? {} : { disks: [...flags.disk] }),
    ...(boot === undefined ? {} : { boot }),
    ...policyBody(flags),
    start: flags.start,
  }
}

function setBody({ name, vcpus, memory, ...flags }: SetFlags): Body<'vmSet'> {
  return {
    ...(name === undefined ? {} : { name }),
    ...(vcpus === undefined ? {} : { vcpus }),
    ...(memory === undefined ? {} : { memoryMiB: memory }),
    ...policyBody(flags),
  }
}

function policyBody({ cpu, cdrom, ha, priority, drs }: SpecFlags): Pick<Body<'vmSet'>, 'cpu' | 'cdrom' | 'ha' | 'priority' | 'drs'> {
  return {
    ...(cpu === undefined ? {} : { cpu }),
    ...(cdrom === undefined ? {} : { cdrom: cdrom === 'none' ? null : cdrom }),
    ...(ha === undefined ? {} : { ha }),
    ...(priority === undefined ? {} : { priority: PRIORITIES[priority] }),
    ...(drs === undefined ? {} : { drs }),
  }
}

const PRIORITIES = { 1: 1, 2: 2, 3: 3 } as const

/** A VM that is not started has no job: it is made once its new disks are. */
async function waitForDisks(client: ApiClient, { id, job }: WriteAnswer, options: RetryOptions): Promise<void> {
  if (id === null || job !== null) return
  const objects = new Set([id])
  const look = async (): Promise<true | null> => {
    const { answer } = await client.call('vmShow', { params: { vm: id } }, { signal: options.signal })
    for (const disk of answer.disks) objects.add(disk.id)
    const failed = answer.disks.find(({ state }) => state === 'failed')
    if (failed === undefined) return answer.disks.some(({ state }) => state === 'creating') ? null : true
    throw new OperationError('failed', `disk ${failed.name} of VM ${answer.name} could not be made`, {
      reasons: [{ code: 'disk-failed', message: failed.error ?? 'its host did not say why', fix: `hostmesh vm delete ${answer.name}` }],
    })
  }
  await watch(client, objects, look, options)
}
