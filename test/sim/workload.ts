// People at work: a stream of commands of all kinds through any host, a few at a time, and reads between them.
import { type AdminCommand } from '../../src/inventory/command.ts'
import { type DatastoreId, type DiskId, type JobId, newId, type RequestKey, type VmId, type Branded } from '../../src/base/ids.ts'
import { between, type Random } from '../../src/base/random.ts'
import { EMPTY, type Inventory } from '../../src/inventory/inventory.ts'
import { type Disk, type Vm } from '../../src/inventory/model.ts'
import { Administrator } from './administrator.ts'
import { type SimHost } from './sim-host.ts'
import { type Weather } from './weather.ts'
import { type World } from './world.ts'

/** People that wait for an answer at a time; a mesh without quorum must not collect more. */
const AT_A_TIME = 6
/** Of the wishes that touch a VM: how often each comes. */
const VM_WISHES = {
  'vm-start': 6,
  'vm-stop': 3,
  'vm-shutdown': 3,
  'vm-reboot': 2,
  'vm-pause': 2,
  'vm-resume': 2,
  'vm-set': 2,
  'vm-delete': 1,
} as const

type Make = (host: SimHost) => AdminCommand

export class Workload {
  readonly #world: World
  readonly #weather: Weather
  readonly #administrator: Administrator
  #number = 0
  #waiting = 0
  #stopped = false

  constructor(world: World, weather: Weather) {
    this.#world = world
    this.#weather = weather
    this.#administrator = new Administrator(world, true)
  }

  /** People who still wait for their answers. */
  get waiting(): number {
    return this.#waiting
  }

  start(): void {
    this.#world.clock.after(this.#random.float() * 2 * this.#weather.writeEveryMs, () => {
      if (this.#stopped) return
      if (this.#waiting < AT_A_TIME) void this.#once()
      this.start()
    })
  }

  stop(): void {
    this.#stopped = true
  }

  async #once(): Promise<void> {
    this.#waiting += 1
    this.#number += 1
    if (this.#random.float() < 0.2) await this.#administrator.read(this.#host())
    else {
      const through = Array.from({ length: between(this.#random, 1, 3) }, () => this.#host())
      await this.#administrator.write({ key: `w${this.#number}` as RequestKey, command: this.#wish(), through })
    }
    this.#waiting -= 1
  }

  #wish(): Make {
    const inventory = this.#world.stateWatch.newest ?? EMPTY
    const vm = this.#one([...inventory.vms.values()])
    const dice = this.#random.float()
    if (vm === undefined || (inventory.vms.size < this.#weather.vms && dice < 0.3)) return this.#create(inventory)
    if (dice < 0.4) return this.#small(inventory)
    return this.#onVm(vm)
  }

  #create(inventory: Inventory): Make {
    const name = `vm${between(this.#random, 1, this.#weather.vms + 1)}`
    const datastore = [...inventory.datastores.keys()][0]
    const withDisk = datastore !== undefined && this.#random.float() < 0.5
    const memoryMiB = this.#random.float() < 0.05 ? TOO_MUCH_MIB : 64 * between(this.#random, 1, 8)
    const starts = this.#random.float() < 0.7
    return (host) => ({
      kind: 'vm-create',
      id: this.#id<VmId>(),
      name,
      vcpus: 1,
      memoryMiB,
      cpu: 'mesh-baseline',
      firmware: 'bios',
      machineType: 'pc-q35-10.0',
      disks: withDisk ? [newDisk(this.#id<DiskId>(), `${name}-root`, datastore)] : [],
      cdrom: null,
      boot: null,
      ha: 'off',
      priority: 2,
      drs: 'auto',
      host: host.id,
      startJob: starts ? this.#id<JobId>() : null,
    })
  }

  /** Not about a VM's power. */
  #small(inventory: Inventory): Make {
    const disk = this.#one([...inventory.disks.values()])
    const datastore = [...inventory.datastores.keys()][0]
    switch (between(this.#random, 0, 4)) {
      case 0:
        return this.#label()
      case 1:
        if (datastore !== undefined) return this.#createDisk(datastore)
        return this.#label()
      case 2:
        return disk === undefined ? this.#label() : this.#onDisk(disk)
      default:
        return this.#setting()
    }
  }

  #label(): Make {
    const { id } = this.#host()
    const rack = `r${between(this.#random, 1, 9)}`
    return () => ({ kind: 'host-set', host: id, labels: { rack } })
  }

  #setting(): Make {
    const value = between(this.#random, 5, 15)
    return () => ({ kind: 'config-set', key: 'vm.shutdown-timeout-s', value })
  }

  #createDisk(datastore: DatastoreId): Make {
    const name = `data${between(this.#random, 1, 4)}`
    return (host) => {
      const { kind: _, ...disk } = newDisk(this.#id<DiskId>(), name, datastore)
      return { kind: 'disk-create', ...disk, host: host.id, job: this.#id<JobId>() }
    }
  }

  #onDisk(disk: Disk): Make {
    if (this.#random.float() < 0.5) return (host) => ({ kind: 'disk-delete', id: disk.id, host: host.id, job: this.#id<JobId>() })
    const sizeBytes = disk.sizeBytes + MIB
    return (host) => ({ kind: 'disk-resize', id: disk.id, sizeBytes, host: host.id, job: this.#id<JobId>() })
  }

  #onVm({ id: vm, spec }: Vm): Make {
    const kind = this.#weighted(VM_WISHES)
    const dice = this.#random.float()
    switch (kind) {
      case 'vm-set':
        return () => ({ kind, vm, memoryMiB: dice < 0.5 ? spec.memoryMiB + 64 : 128 })
      case 'vm-delete':
        return (host) => ({ kind, vm, keepDisks: dice < 0.3, host: host.id, job: this.#id<JobId>() })
      case 'vm-reboot':
        return () => ({ kind, vm, force: dice < 0.3, job: this.#id<JobId>() })
      default:
        return () => ({ kind, vm, job: this.#id<JobId>() })
    }
  }

  #weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries<number>(weights)
    let left = this.#random.float() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of entries) {
      left -= weight
      // One of the names that came in.
      if (left < 0) return name as K
    }
    throw new Error('nothing to choose from')
  }

  #one<T>(list: readonly T[]): T | undefined {
    return list[between(this.#random, 0, list.length - 1)]
  }

  #host(): SimHost {
    const host = this.#one([...this.#world.hosts.values()])
    if (host === undefined) throw new Error('a world without hosts')
    return host
  }

  #id<T extends Branded<string, string>>(): T {
    return newId<T>((length) => this.#random.bytes(length))
  }

  get #random(): Random {
    return this.#world.random
  }
}

/** More than any host has: such a VM waits for ever, and must not disturb the others. */
export const TOO_MUCH_MIB = 1_000_000
const MIB = 1024 * 1024

function newDisk(
  id: DiskId,
  name: string,
  datastore: DatastoreId,
): Extract<AdminCommand & { kind: 'vm-create' }, object>['disks'][number] & { readonly kind: 'new' } {
  return { kind: 'new', id, name, datastore, format: 'qcow2', sizeBytes: 64 * MIB }
}
