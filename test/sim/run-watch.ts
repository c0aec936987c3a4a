// Checks of runs: a VM never lives twice, an epoch starts at most once, and only where it was assigned and not ended.
import { type HostId, type VmId } from '../../src/base/ids.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { type Epoch } from '../../src/inventory/model.ts'
import { formatEpoch, sameEpoch } from '../../src/inventory/view.ts'
import { type Run } from '../../src/vm/driver.ts'
import { type FakeRunEvent } from '../../src/vm/fake-driver.ts'
import { runKey } from '../../src/vm/run-rules.ts'
import { type Applied } from './state-watch.ts'
import { type Faults, type Trace } from './trace.ts'

interface LiveRun {
  readonly host: HostId
  readonly epoch: Epoch
}

export class RunWatch {
  readonly #faults: Faults
  readonly #trace: Trace
  readonly #nameOf: (host: HostId) => string
  /** Every (vm, epoch) that was ever assigned, and to whom. */
  readonly #assigned = new Map<string, HostId>()
  readonly #started = new Map<string, HostId>()
  /** By VM: the processes that live now. */
  readonly #live = new Map<VmId, LiveRun[]>()

  constructor(faults: Faults, trace: Trace, nameOf: (host: HostId) => string) {
    this.#faults = faults
    this.#trace = trace
    this.#nameOf = nameOf
  }

  live(vm: VmId): readonly LiveRun[] {
    return this.#live.get(vm) ?? []
  }

  /** All that live now, of VMs that were deleted too. */
  allLive(): readonly (readonly [VmId, LiveRun])[] {
    return [...this.#live].flatMap(([vm, runs]) => runs.map((run) => [vm, run] as const))
  }

  applied({ before, after, index }: Applied): void {
    if (before.vms === after.vms) return
    for (const vm of after.vms.values()) {
      const { owner } = vm
      const old = before.vms.get(vm.id)?.owner ?? null
      if (owner !== null) this.#assigned.set(runKey({ vm: vm.id, epoch: owner.epoch }), owner.host)
      if (old !== null && (owner === null || !sameEpoch(old.epoch, owner.epoch))) this.#ended(index, { vm: vm.id, epoch: old.epoch })
    }
    for (const vm of before.vms.values()) {
      if (vm.owner !== null && !after.vms.has(vm.id)) this.#ended(index, { vm: vm.id, epoch: vm.owner.epoch })
    }
  }

  /** `newest`: the state of whoever is furthest. */
  event(host: HostId, event: FakeRunEvent, newest: Inventory | undefined): void {
    const { vm, epoch, kind } = event
    this.#trace.note(this.#nameOf(host), kind, epoch.counter, () => `${nameOf(newest, vm)} ${formatEpoch(epoch)}`)
    if (kind === 'started') this.#onStart(host, event, newest)
    else if (kind === 'gone') this.#onGone(host, event)
  }

  #onStart(host: HostId, { vm, epoch }: Run, newest: Inventory | undefined): void {
    const key = runKey({ vm, epoch })
    const name = `${nameOf(newest, vm)} (epoch ${formatEpoch(epoch)})`
    this.#trace.count('VM starts')
    const live = this.live(vm)
    if (live[0] !== undefined)
      this.#faults.report(`VM ${name} starts on ${this.#nameOf(host)} while it lives on ${this.#nameOf(live[0].host)}`)
    const before = this.#started.get(key)
    if (before !== undefined)
      this.#faults.report(`VM ${name} starts on ${this.#nameOf(host)}, that epoch was started on ${this.#nameOf(before)} before`)
    const assigned = this.#assigned.get(key)
    if (assigned !== host)
      this.#faults.report(
        `VM ${name} starts on ${this.#nameOf(host)}, assigned was ${assigned === undefined ? 'nobody' : this.#nameOf(assigned)}`,
      )
    const owner = newest?.vms.get(vm)?.owner ?? null
    if (owner === null || owner.host !== host || !sameEpoch(owner.epoch, epoch)) {
      this.#faults.report(`VM ${name} starts on ${this.#nameOf(host)} although that ownership has ended`)
    }
    this.#started.set(key, host)
    this.#live.set(vm, [...live, { host, epoch }])
  }

  #onGone(host: HostId, { vm, epoch }: Run): void {
    this.#trace.count('VM ends')
    const rest = this.live(vm).filter((run) => run.host !== host || !sameEpoch(run.epoch, epoch))
    if (rest.length === 0) this.#live.delete(vm)
    else this.#live.set(vm, rest)
  }

  #ended(index: number, run: Run): void {
    const still = this.live(run.vm).find(({ epoch }) => sameEpoch(epoch, run.epoch))
    if (still !== undefined)
      this.#faults.report(`entry ${index} ends the ownership of ${runKey(run)} while it lives on ${this.#nameOf(still.host)}`)
  }
}

function nameOf(inventory: Inventory | undefined, vm: VmId): string {
  return inventory?.vms.get(vm)?.name ?? vm
}
