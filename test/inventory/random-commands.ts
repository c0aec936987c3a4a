// Random histories for properties: steps as plain data (so that they shrink), turned into commands against the state they meet.
import fc from 'fast-check'
import { type DiskId, type HostId, type JobId, type VmId } from '../../src/base/ids.ts'
import { apply, type ApplyStep } from '../../src/inventory/apply.ts'
import { type Command, type CommandRecord } from '../../src/inventory/command.ts'
import { EMPTY, type Inventory } from '../../src/inventory/inventory.ts'
import { type Epoch } from '../../src/inventory/model.ts'
import { SETTINGS } from '../../src/inventory/settings.ts'
import { nextEpoch, waitingVms } from '../../src/inventory/view.ts'
import {
  aJoiner,
  aRecord,
  datastoreId,
  diskId,
  generationId,
  hostId,
  HOUR_MS,
  jobId,
  memberId,
  meshId,
  requestKey,
  someVm,
  START_AT,
  tokenId,
  vmId,
} from '../fixture/inventory.ts'

export const KINDS: readonly Command['kind'][] = [
  'mesh-init',
  'host-join',
  'host-rejoin',
  'mesh-renew',
  'host-remove',
  'voters-change',
  'agent-started',
  'host-addresses',
  'host-set',
  'token-create',
  'token-revoke',
  'datastore-add',
  'datastore-remove',
  'disk-create',
  'disk-resize',
  'disk-delete',
  'disk-done',
  'disk-failed',
  'disk-reassign',
  'vm-create',
  'vm-set',
  'vm-delete',
  'vm-start',
  'vm-shutdown',
  'vm-stop',
  'vm-reboot',
  'vm-pause',
  'vm-resume',
  'vm-assign',
  'vm-unplaceable',
  'vm-observed',
  'vm-stopped',
  'job-cancel',
  'job-progress',
  'job-done',
  'job-failed',
  'config-set',
  'host-alarm',
]

/** What happens in the life of a VM is drawn more often than what happens once in the life of a mesh. */
const OFTEN: readonly Command['kind'][] = [
  'vm-create',
  'disk-done',
  'vm-start',
  'vm-assign',
  'vm-assign',
  'vm-observed',
  'vm-observed',
  'vm-observed',
  'vm-stopped',
  'vm-reboot',
  'vm-pause',
  'vm-resume',
  'job-done',
]

export interface RandomStep {
  readonly kind: Command['kind']
  /** Which of the few objects. */
  readonly one: number
  readonly other: number
  /** Free choice within the command. */
  readonly choice: number
  /** True: what the state expects (its owner, its next epoch); false: any other. */
  readonly fits: boolean
  readonly key: number | null
  readonly term: number
  readonly passesMs: number
}

export const randomStep: fc.Arbitrary<RandomStep> = fc.record({
  kind: fc.constantFrom(...KINDS, ...OFTEN, ...OFTEN),
  one: fc.nat(2),
  other: fc.nat(2),
  choice: fc.nat(11),
  fits: fc.oneof({ weight: 8, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  key: fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(5) }),
  term: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constant(2) }),
  passesMs: fc.oneof({ weight: 9, arbitrary: fc.nat(5_000) }, { weight: 1, arbitrary: fc.constant(2 * HOUR_MS) }),
})

export const randomSteps = fc.array(randomStep, { minLength: 1, maxLength: 120, size: 'max' })

/** Every history begins with a mesh of three hosts, a datastore and two VMs, or most steps would meet nothing. */
const PROLOGUE: readonly Command[] = [
  { kind: 'mesh-init', mesh: { id: meshId('mesh1'), name: 'lab' }, host: aJoiner('h0', { member: memberId(1) }) },
  { kind: 'token-create', id: tokenId('t0'), publicKey: 'key', role: 'host', uses: 3, expiresAt: START_AT + 24 * HOUR_MS },
  { kind: 'host-join', token: tokenId('t0'), host: aJoiner('h1', { member: memberId(2) }) },
  started('h1', 2),
  { kind: 'datastore-add', id: datastoreId('s0'), name: 's0', path: '/srv/s0' },
  someVm('v0', { host: hostId('h0') }),
  someVm('v1', {
    host: hostId('h0'),
    startJob: jobId('first'),
    disks: [{ kind: 'new', id: diskId('d0'), name: 'd0', datastore: datastoreId('s0'), format: 'raw', sizeBytes: 1_048_576 }],
  }),
]

export interface HistoryStep extends ApplyStep {
  readonly before: Inventory
  readonly record: CommandRecord
  readonly index: number
  readonly term: number
}

/** Applies the prologue and then `steps`, each turned into a command against the state that it meets. */
export function* history(steps: readonly RandomStep[]): Generator<HistoryStep> {
  let inventory = EMPTY
  let at = START_AT
  const run = (command: Command, step: Pick<RandomStep, 'key' | 'term' | 'passesMs'>): HistoryStep => {
    at += step.passesMs
    const record = aRecord(command, { at, requestKey: step.key === null ? null : requestKey(`key-${step.key}`) })
    const before = inventory
    const { term } = step
    const index = before.index + 1
    const applied = apply(before, record, { index, term })
    inventory = applied.inventory
    return { ...applied, before, record, index, term }
  }
  for (const command of PROLOGUE) yield run(command, { key: null, term: 1, passesMs: 1_000 })
  for (const step of steps) yield run(commandOf(step, inventory), step)
}

function started(name: string, member: number): Command {
  const { id, addresses, bootId, facts } = aJoiner(name)
  return { kind: 'agent-started', host: id, facts, addresses, bootId, member: memberId(member) }
}

function commandOf(step: RandomStep, inventory: Inventory): Command {
  const { one, other, choice } = step
  // Mostly a new job, sometimes one that exists already.
  const job = jobId(step.fits ? `j${inventory.index}` : `j${choice}`)
  const draw: Draw = {
    step,
    inventory,
    job,
    host: hostId(`h${other}`),
    vm: step.fits ? fittingVm(step, inventory) : vmId(`v${one}`),
    disk: step.fits ? fittingDisk(step, inventory) : diskId(`d${choice % 4}`),
    openJob: [...inventory.jobs.values()].filter(({ endedAt }) => endedAt === null).at(choice % 3)?.id ?? job,
  }
  return meshCommand(draw) ?? storageCommand(draw) ?? vmCommand(draw) ?? runCommand(draw)
}

/** A VM that a report or decision of this kind is about, where there is one: random ones alone would seldom run. */
function fittingVm({ kind, one }: RandomStep, inventory: Inventory): VmId {
  const vms = [...inventory.vms.values()]
  const about = ABOUT_RUNS.has(kind) ? vms.filter(({ owner }) => owner !== null) : kind === 'vm-assign' ? waitingVms(inventory) : []
  return about.at(one % Math.max(1, about.length))?.id ?? vmId(`v${one}`)
}

const ABOUT_RUNS: ReadonlySet<Command['kind']> = new Set([
  'vm-observed',
  'vm-stopped',
  'vm-shutdown',
  'vm-reboot',
  'vm-pause',
  'vm-resume',
  'job-progress',
  'job-done',
  'job-failed',
])

function fittingDisk({ kind, choice }: RandomStep, inventory: Inventory): DiskId {
  const disks = [...inventory.disks.values()]
  const ready = kind === 'disk-resize' || kind === 'disk-delete'
  const about = kind === 'disk-create' ? [] : disks.filter(({ state }) => (state.kind === 'ready') === ready)
  return about.at(choice % Math.max(1, about.length))?.id ?? diskId(`d${choice % 4}`)
}

interface Draw {
  readonly step: RandomStep
  readonly inventory: Inventory
  readonly job: JobId
  readonly openJob: JobId
  readonly host: HostId
  readonly vm: VmId
  readonly disk: DiskId
}

function meshCommand({ step, host }: Draw): Command | null {
  const { one, other, choice, kind } = step
  switch (kind) {
    case 'mesh-init':
      return { kind, mesh: { id: meshId(`mesh${one}`), name: 'lab' }, host: aJoiner(`h${other}`, { member: memberId(other + 1) }) }
    case 'host-join': {
      const member = memberId(step.fits ? other + 1 : 10 + choice)
      return { kind, token: tokenId(`t${one}`), host: aJoiner(`h${other}`, { member, role: choice === 0 ? 'witness' : 'host' }) }
    }
    case 'host-rejoin':
      return { kind, host: aJoiner(`h${other}`, { member: memberId(step.fits ? 20 + choice : other + 1) }) }
    case 'mesh-renew':
      return {
        kind,
        cause: step.fits ? 'recovered' : 'restored',
        generation: choice + 1,
        generationId: generationId(`g${one}`),
        host: aJoiner(`h${other}`, { member: memberId(30 + choice) }),
        plan: 'plan',
      }
    case 'host-remove':
      return { kind, host }
    case 'voters-change':
      return { kind, leaderTerm: 1, promote: [memberId(other + 1)], demote: [], remove: step.fits ? [] : [memberId(choice + 1)] }
    case 'agent-started':
      return started(`h${other}`, step.fits ? other + 1 : choice + 1)
    case 'host-addresses':
      return { kind, host, addresses: step.fits ? [`198.18.0.${choice + 1}:7946`] : ['example:1'] }
    case 'host-set':
      return { kind, host, name: step.fits ? `h${other}` : `h${choice % 3}`, labels: { zone: choice % 2 === 0 ? null : 'a' } }
    case 'token-create':
      return {
        kind,
        id: tokenId(`t${one}`),
        publicKey: 'key',
        role: choice === 0 ? 'witness' : 'host',
        uses: (choice % 3) + 1,
        expiresAt: START_AT + HOUR_MS * choice,
      }
    case 'token-revoke':
      return { kind, id: tokenId(`t${one}`) }
    case 'config-set': {
      const keys = [...Object.keys(SETTINGS), 'unknown']
      return { kind, key: keys[choice % keys.length] ?? '', value: [null, 1, 90, true, 'text'][one] ?? null }
    }
    case 'host-alarm':
      return { kind, host, alarm: 'peer-refused', subject: `host h${choice}`, why: 'a test' }
    default:
      return null
  }
}

function storageCommand({ step, inventory, job, host, disk }: Draw): Command | null {
  const { one, choice, kind, fits } = step
  const known = inventory.disks.get(disk)
  const worker = fits && known !== undefined && 'host' in known.state ? known.state.host : host
  const datastore = datastoreId(`s${one % 2}`)
  switch (kind) {
    case 'datastore-add':
      return { kind, id: datastore, name: `s${one % 2}`, path: `/srv/s${one % 2}` }
    case 'datastore-remove':
      return { kind, id: datastore }
    case 'disk-create':
      return { kind, id: disk, name: disk, datastore, format: 'qcow2', sizeBytes: 1_048_576, host, job }
    case 'disk-resize':
      return { kind, id: disk, sizeBytes: 1_048_576 * (choice + 1), host, job }
    case 'disk-delete':
      return { kind, id: disk, host, job }
    case 'disk-done': {
      const size = known?.state.kind === 'deleting' ? 0 : known?.state.kind === 'resizing' ? known.state.toBytes : (known?.sizeBytes ?? 0)
      return { kind, host: worker, disk, sizeBytes: fits ? size : 1_048_576 }
    }
    case 'disk-failed':
      return { kind, host: worker, disk, reason: 'no space left' }
    case 'disk-reassign':
      return { kind, leaderTerm: 1, disk, to: host }
    default:
      return null
  }
}

function vmCommand({ step, job, host, vm, disk }: Draw): Command | null {
  const { one, choice, kind, fits } = step
  switch (kind) {
    case 'vm-create': {
      const wish = { kind: 'new', id: disk, name: disk, datastore: datastoreId('s0'), format: 'raw', sizeBytes: 1_048_576 } as const
      const disks = choice % 3 === 0 ? [] : choice % 3 === 1 ? [wish] : [{ kind: 'existing', disk } as const]
      return someVm(vm, { host, startJob: choice % 2 === 0 ? job : null, disks })
    }
    case 'vm-set':
      return { kind, vm, ...(fits ? { priority: 1 } : { name: `v${choice % 3}` }), ...(choice % 2 === 0 ? { memoryMiB: 512 } : {}) }
    case 'vm-delete':
      return { kind, vm, keepDisks: choice % 2 === 0, host, job }
    case 'vm-reboot':
      return { kind, vm, force: one === 0, job }
    case 'vm-start':
    case 'vm-shutdown':
    case 'vm-stop':
    case 'vm-pause':
    case 'vm-resume':
      return { kind, vm, job }
    default:
      return null
  }
}

function runCommand({ step, inventory, openJob, host, vm: drawn }: Draw): Command {
  const { choice, kind, fits } = step
  const object = inventory.jobs.get(openJob)?.object
  const vm = fits && kind.startsWith('job-') && object?.kind === 'vm' ? object.id : drawn
  const row = inventory.vms.get(vm)
  const owner = row?.owner ?? null
  const far: Epoch = { generation: 1, counter: choice }
  const epoch = fits && owner !== null ? owner.epoch : far
  const reporter = fits && owner !== null ? owner.host : host
  switch (kind) {
    case 'vm-assign':
      return { kind, leaderTerm: 1, vm, to: host, epoch: fits && row !== undefined ? nextEpoch(inventory, row) : far, reasons: [] }
    case 'vm-unplaceable':
      return { kind, leaderTerm: 1, vm, reasons: [{ code: 'memory', message: 'no room' }] }
    case 'vm-observed': {
      const status = (['running', 'running', 'running', 'paused', 'starting', 'io-error', 'shutting-down', 'powered-off'] as const)[
        choice % 8
      ]
      return { kind, host: reporter, vm, epoch, status: status ?? 'running' }
    }
    case 'vm-stopped': {
      const intent = (['off', 'crash', 'start-failed', 'host-down'] as const)[choice % 4] ?? 'off'
      return { kind, host: reporter, vm, epoch, intent, reasons: [] }
    }
    case 'job-cancel':
      return { kind, job: openJob }
    case 'job-progress':
      return { kind, host: reporter, job: openJob, step: 'working', percent: choice }
    case 'job-done':
      return { kind, host: reporter, job: openJob }
    case 'job-failed':
      return { kind, host: reporter, job: openJob, reasons: [{ code: 'test', message: 'it failed' }] }
    default:
      throw new Error(`no command of kind ${kind} is drawn`)
  }
}
