// What a host says of its work when the saying of it fails.
import { describe, expect, it } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { OperationError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { carryOut, type Hands } from '../../src/host/carry-out.ts'
import { FakeHypervisor } from '../../src/vm/fake-driver.ts'
import { fakeMesh } from '../fixture/fake-cluster.ts'
import { aMesh, datastoreId, diskId, hostId, jobId } from '../fixture/inventory.ts'

const signal = new AbortController().signal
const DISK = diskId('root')
const WORK = { kind: 'disk-create', disk: DISK } as const

/** A disk that h1 is to make, in a mesh that loses the first report. */
function setUp(create: () => Promise<void>) {
  const self = hostId('h1')
  const log = aMesh({ datastores: ['main'] })
  const disk = { id: DISK, name: 'root', datastore: datastoreId('main'), format: 'raw', sizeBytes: 1024 * 1024 } as const
  log.do({ kind: 'disk-create', ...disk, host: self, job: jobId('j') })
  const mesh = fakeMesh(log.now, { leader: self })
  const cluster = mesh.of(self)
  let reports = 0
  const propose: typeof cluster.propose = async (command, how) => {
    reports += 1
    if (reports === 1) throw new OperationError('timeout', 'the leader was lost')
    return cluster.propose(command, how)
  }
  const nothing = (): Promise<void> => Promise.resolve()
  const files: Hands['files'] = { create, resize: nothing, remove: nothing, disk: () => '/root', file: () => Promise.resolve('/file') }
  const driver = new FakeHypervisor({ clock: realClock }).connect()
  const rest = { self, actor: 'host h1', clock: realClock, log: silentLog, asked: new Map() }
  const hands: Hands = { ...rest, cluster: { ...cluster, propose }, files, driver }
  return { mesh, hands }
}

describe('work on a disk', () => {
  it('has not failed where only its report has: it is done and reported again', async () => {
    const { mesh, hands } = setUp(() => Promise.resolve())
    await expect(carryOut(hands, WORK, signal)).rejects.toMatchObject({ code: 'timeout' })
    expect(mesh.log).toEqual([])
    await carryOut(hands, WORK, signal)
    expect(mesh.inventory().disks.get(DISK)?.state.kind).toBe('ready')
  })

  it('that fails is reported with its reason', async () => {
    const { mesh, hands } = setUp(() => Promise.reject(new Error('no space left on device')))
    await expect(carryOut(hands, WORK, signal)).rejects.toMatchObject({ code: 'timeout' })
    await carryOut(hands, WORK, signal)
    expect(mesh.inventory().disks.get(DISK)?.state).toMatchObject({ kind: 'failed', reason: expect.stringContaining('no space left') })
  })
})
